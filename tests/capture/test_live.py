"""What is seen of live traffic: each packet once, in its flow, and accounted for where it is lost."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from benches.captures import records

from infraspectre import _core
from infraspectre.capture import CaptureSource, EarlyFlows, LiveAccount, LiveSource
from infraspectre.capture.settings import CaptureSettings, FlowSettings
from infraspectre.errors import CaptureError, ConfigError
from infraspectre.simulation import simulate
from infraspectre.simulation.packets import arp, ethernet, ip, udp
from namespaces import INSIDE, OUTSIDE, Namespace, namespace

MACS = b"\2\0\0\0\0\1", b"\2\0\0\0\0\2"
IDENTITY = ["orig_ip", "orig_port", "resp_ip", "resp_port", "protocol", "vlan"]
COUNTS = ["orig_packets", "resp_packets", "orig_bytes", "resp_bytes", "app_protocol"]
DEADLINE_S = 10.0


@pytest.fixture(scope="module")
def network() -> Iterator[Namespace]:
    with namespace() as made:
        yield made


def listen(
    network: Namespace,
    settings: CaptureSettings | None = None,
    interface: str = INSIDE,
    flows: FlowSettings | None = None,
) -> LiveSource:
    with network.entered():
        return LiveSource(interface, settings=settings, flows=flows)


def datagram(port: int, payload: bytes = b"x", tag: int | None = None) -> bytes:
    source, destination = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
    packet = ip(source, destination, 17, udp(source, destination, (port, 9999), payload), ttl=64)
    frame = ethernet(*MACS, 0x0800, packet)
    return frame if tag is None else frame[:12] + b"\x81\x00" + tag.to_bytes(2, "big") + frame[12:]


def rest(source: LiveSource) -> pl.DataFrame:
    """Stop, and return the flows that have not been read."""
    source.stop()
    return pl.concat([batch.frame for batch in source], how="vertical")


def check(account: LiveAccount) -> None:
    """Hold the account of a capture that is over against itself."""
    assert account.received == account.dropped + account.packets
    assert account.in_ring == 0


def wait_for(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + DEADLINE_S
    while not is_so():
        assert time.monotonic() < until, "it did not come to pass in time"
        time.sleep(0.01)


def frames(capture: Path) -> list[bytes]:
    return [frame for _, frame in records(capture)]


@pytest.mark.parametrize("block_timeout_ms", [0, 1], ids=["at once", "in blocks"])
@pytest.mark.parametrize("threads", [1, 3])
def test_live_flows_are_those_of_a_capture(
    network: Namespace, tmp_path: Path, block_timeout_ms: int, threads: int
) -> None:
    made = simulate("bulk", tmp_path, kind="mixed", packets=3_000)
    source = listen(network, CaptureSettings(block_timeout_ms=block_timeout_ms, threads=threads))
    network.send(frames(made.capture))
    live = rest(source)
    account = source.account()
    check(account)
    captured = pl.concat(batch.frame for batch in CaptureSource([str(made.capture)]))
    columns = [*IDENTITY, *COUNTS]
    assert live.select(columns).sort(IDENTITY).equals(captured.select(columns).sort(IDENTITY))
    assert (account.packets, account.flows) == (len(frames(made.capture)), len(live))
    assert live["flow_id"].n_unique() == len(live)


def test_a_packet_on_a_loopback_interface_is_seen_once(network: Namespace) -> None:
    network.link("set", "lo", "up")
    source = listen(network, interface="lo")
    with network.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.bind(("127.0.0.1", 0))
        for _ in range(5):
            out.sendto(b"x", out.getsockname())
    (row,) = rest(source).to_dicts()
    assert (row["orig_packets"] + (row["resp_packets"] or 0), source.account().packets) == (5, 5)


def test_what_is_sent_is_seen_as_well_as_what_comes_in(network: Namespace) -> None:
    source = listen(network)
    network.send([datagram(1)])
    network.send([datagram(2)], INSIDE)
    assert rest(source)["orig_port"].to_list() == [1, 2]


def test_flows_end_on_a_silent_link(network: Namespace) -> None:
    source = listen(network, flows=FlowSettings(udp_idle_s=0.1, linger_s=0.1))
    network.send([datagram(1)])
    batch = source.read(5.0)
    assert batch is not None
    assert batch.frame["end_reason"].to_list() == ["idle"]
    source.stop()
    assert not list(source)


def test_the_tag_of_a_vlan_is_a_fact_again(network: Namespace) -> None:
    for timeout in (0, 1):
        source = listen(network, CaptureSettings(block_timeout_ms=timeout))
        network.send([datagram(1, tag=0x6005), datagram(2), datagram(3, b"y" * 5_000, tag=7)])
        rows = rest(source).sort("orig_port")
        assert rows["vlan"].to_list() == [5, None, 7]
        assert rows["orig_bytes"].to_list() == [9, 9, 5_008]


@pytest.mark.parametrize("block_timeout_ms", [0, 1], ids=["at once", "in blocks"])
def test_long_packets_are_whole_and_cut_ones_keep_their_length(network: Namespace, block_timeout_ms: int) -> None:
    payload = b"x" * 8_000
    whole = listen(network, CaptureSettings(block_timeout_ms=block_timeout_ms))
    cut = listen(network, CaptureSettings(block_timeout_ms=block_timeout_ms, snap_bytes=100))
    network.send([datagram(1, payload)])
    for source, truncated in ((whole, 0), (cut, 1)):
        (row,) = rest(source).to_dicts()
        assert (row["orig_bytes"], row["truncated_packets"]) == (8_008, truncated)


def test_a_filter_lets_through_what_it_says(network: Namespace) -> None:
    try:
        source = listen(network, CaptureSettings(filter="udp src port 2 or arp"))
    except ConfigError as error:
        if "without libpcap" in str(error):
            pytest.skip(str(error))
        raise
    network.send([datagram(1), datagram(2), datagram(3)])
    assert rest(source)["orig_port"].to_list() == [2]
    assert source.account().received == 1
    for wrong in ("udp port", "vlan 5", "x" * 10_000):
        with pytest.raises(ConfigError, match=r"capture\.filter"):
            listen(network, CaptureSettings(filter=wrong))


def test_early_rows_tell_of_the_first_packets(network: Namespace) -> None:
    source = listen(network, CaptureSettings(early=True))
    network.send([datagram(1)] * 70)
    source.stop()
    batches = list(source)
    early = pl.concat([batch.frame for batch in batches if isinstance(batch, EarlyFlows)])
    (last,) = (batch.frame for batch in batches if not isinstance(batch, EarlyFlows))
    assert early["orig_packets"].to_list() == [1, 4, 16, 64]
    assert set(early["end_reason"]) == {"early"}
    assert last["orig_packets"].to_list() == [70]
    assert set(early["flow_id"]) == set(last["flow_id"])
    assert source.account().flows == 1


def test_rows_are_early_only_where_that_is_asked_for(network: Namespace) -> None:
    source = listen(network)
    network.send([datagram(1)] * 5)
    assert rest(source)["end_reason"].to_list() == ["end_of_capture"]


def test_claims_come_with_the_batches(network: Namespace) -> None:
    source = listen(network)
    claim = arp(2, MACS[1], bytes([10, 0, 0, 7]), bytes(6), bytes([10, 0, 0, 9]))
    network.send([ethernet(MACS[0], MACS[1], 0x0806, claim), datagram(1)])
    rest(source)
    assert source.claims()["address"].to_list() == ["10.0.0.7"]
    assert source.claims().is_empty()
    assert source.account().without_flow == {"arp": 1}


def test_rows_that_nobody_takes_are_shed_and_counted(network: Namespace) -> None:
    with network.entered():
        options: dict[str, Any] = {"udp_idle_s": 0.05, "linger_s": 0.05}
        reader = _core.LiveReader(INSIDE, queue_batches=2, batch_rows=4, flush_ms=0.0, options=options)
    network.send(datagram(port) for port in range(100))
    wait_for(lambda: reader.summary()["flows_shed"] > 0)
    reader.stop()
    read = 0
    with pytest.raises(StopIteration):
        while True:
            read += len(reader.read(1.0) or ())
    summary = reader.summary()
    assert summary["flows"] == 100 == read + summary["flows_shed"]
    assert read >= 8


def test_an_interface_that_goes_away_is_reported_and_found_again(network: Namespace) -> None:
    with namespace() as own:
        source = listen(own)
        own.send([datagram(1)])
        own.link("delete", OUTSIDE)
        wait_for(lambda: INSIDE in source.account().unreadable)
        own.make_pair()
        wait_for(lambda: not source.account().unreadable)
        own.send([datagram(2)])
        rows = rest(source)
    assert rows["orig_port"].to_list() == [1, 2]
    check(source.account())
    assert source.account().outages == 1


def test_an_interface_that_is_down_is_reported_and_comes_back(network: Namespace) -> None:
    with namespace() as own:
        source = listen(own)
        own.link("set", INSIDE, "down")
        wait_for(lambda: "down" in source.account().unreadable.get(INSIDE, ""))
        own.link("set", INSIDE, "up")
        own.send([datagram(1)])
        wait_for(lambda: source.account().packets == 1)
        assert not source.account().unreadable
        assert rest(source)["orig_port"].to_list() == [1]


def test_privileges_may_go_once_it_listens(network: Namespace) -> None:
    source = listen(network)
    os.seteuid(65534)
    try:
        network_is_left = source.read(0.0)
        assert network_is_left is None
    finally:
        os.seteuid(0)
    network.send([datagram(1)])
    assert rest(source)["orig_port"].to_list() == [1]


def test_what_cannot_be_listened_to_is_named(network: Namespace) -> None:
    with pytest.raises(CaptureError, match=r"nothing0: there is no interface nothing0"):
        listen(network, interface="nothing0")
    with pytest.raises(CaptureError, match="there is no interface"):
        listen(network, interface="x" * 50)
