from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from infraspectre.adapters.sensor_link.spool import LEAST_BYTES
from infraspectre.capture.replay import Replay
from infraspectre.capture.settings import RingSettings
from infraspectre.errors import CaptureError, InfraSpectreError, UsageError
from infraspectre.ports import Account
from infraspectre.records.flows import FlowBatch
from infraspectre.serving import sensor
from infraspectre.serving.sensor import Capture, SensorPlan, SensorStatus, counters, listen, run
from link_rooms import HOST, delivered, flow_rows, make_authority, serving
from log_fakes import MemoryLog

SAMPLE = Path(__file__).parents[2] / "examples" / "sample.pcap.gz"


class Scripted:
    """Gives flows until it is stopped."""

    def __init__(self, *rows: int, failure: Exception | None = None) -> None:
        self.is_done = False
        self.rows = list(rows)
        self.failure = failure
        self.given = 0

    def read(self, timeout_s: float) -> FlowBatch | None:
        if not self.rows:
            self.is_done = True
            if self.failure is not None:
                raise self.failure
            return None
        rows = self.rows.pop(0)
        self.given += rows
        return FlowBatch(flow_rows(self.given - rows, rows))

    def stop(self) -> None:
        self.rows.clear()

    def account(self) -> Account:
        account = Account()
        account.packets, account.shed = 2 * self.given, {"packets_dropped": 3, "flows_shed": 0}
        return account


class Server:
    """Is a server in a thread of its own."""

    def __init__(self, folder: Path | None) -> None:
        self.log = MemoryLog()
        self._folder = folder
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stopped = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    async def _serve(self) -> None:
        async with serving(self.log, self._folder) as (_, self.port):
            self._ready.set()
            await self._stopped.wait()

    def __enter__(self) -> Server:
        self._thread.start()
        self._ready.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join()
        self._loop.close()


def plan(port: int, spool: Path, source: Callable[[], Capture], **changed: object) -> SensorPlan:
    base = SensorPlan((HOST, port), source, spool, 4 * LEAST_BYTES, "probe", is_insecure=True)
    return SensorPlan(**(vars(base) | changed))


def quiet(_: SensorStatus) -> None: ...


def test_a_capture_arrives_whole(tmp_path: Path) -> None:
    folder = make_authority(tmp_path / "ca").folder
    secured = {
        "is_insecure": False, "name": None, "certificate": folder / "probe.pem", "key": folder / "probe.key",
        "authority": folder / "ca.pem",
    }  # fmt: skip
    with Server(folder) as server:
        wanted = plan(server.port, tmp_path / "spool", lambda: sensor.replay(SAMPLE, 0, None), **secured)
        status = run(wanted, quiet)
    assert (status.name, status.is_connected, status.has_losses) == ("probe", True, False)
    assert status.spool["sent"]["flows"] == 668
    envelopes = [envelope for envelope, _ in delivered(server.log)]
    assert sum(envelope.rows for envelope in envelopes) == 668
    assert envelopes[-1].capture["packets"] == 10_750


def test_packets_are_kept_where_there_are_any(tmp_path: Path) -> None:
    ring = RingSettings(str(tmp_path / "ring"), 16 << 20)
    with Server(None) as server:
        kept = run(plan(server.port, tmp_path / "spool", lambda: sensor.replay(SAMPLE, 0, None), ring=ring), quiet)
        assert (kept.capture["ring_written"], kept.has_losses) == (10_750, False)
        with pytest.raises(UsageError, match="no packets to keep"):
            run(plan(server.port, tmp_path / "other", lambda: Scripted(1), ring=ring), quiet)


def test_many_small_batches_become_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensor, "BATCH_S", 60.0)
    with Server(None) as server:
        status = run(plan(server.port, tmp_path, lambda: Scripted(*[10] * 500)), quiet)
    assert status.spool["sent"] == {"batches": 2, "flows": 5_000}
    assert status.capture["packets"] == 10_000
    assert status.has_losses, "the capture dropped packets"


def test_flows_wait_for_the_next_start_where_there_is_no_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensor, "FAREWELL_S", 0.1)
    status = run(plan(9, tmp_path, lambda: Scripted(10)), quiet)
    assert status.spool["queued"]["flows"] == 10
    assert not status.is_connected
    monkeypatch.undo()
    with Server(None) as server:
        status = run(plan(server.port, tmp_path, lambda: Scripted(5)), quiet)
    assert status.spool["recovered"]["flows"] == 10
    assert [envelope.rows for envelope, _ in delivered(server.log)] == [10, 5]


def test_what_fails_is_raised_once_the_rest_is_sent(tmp_path: Path) -> None:
    with Server(None) as server, pytest.raises(CaptureError, match="gone"):
        run(plan(server.port, tmp_path, lambda: Scripted(7, failure=CaptureError("gone"))), quiet)
    assert [envelope.rows for envelope, _ in delivered(server.log)] == [7]


def test_how_it_is_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensor, "STATUS_S", 0.02)
    told: list[SensorStatus] = []
    source = sensor.replay(SAMPLE, 60.0, None)

    def tell(status: SensorStatus) -> None:
        told.append(status)
        if status.spool["sent"]["flows"]:
            source.stop()

    with Server(None) as server:
        run(plan(server.port, tmp_path, lambda: source), tell)
    assert told[-1].is_connected
    assert 0 < told[-1].spool["sent"]["flows"] < 668


def test_a_link_that_breaks_down_ends_the_sensor(tmp_path: Path) -> None:
    source = sensor.replay(SAMPLE, 0.001, None)
    with pytest.raises(UnicodeError):
        run(plan(9, tmp_path, lambda: source, server=("a..b", 9), is_forced=True), quiet)


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"is_insecure": False}, "needs certificates"),
        ({"server": ("192.0.2.1", 1)}, "in plain text"),
        ({"server": ("example.org", 1)}, "in plain text"),
        ({"name": None}, "has no name"),
        ({"name": "A B"}, "has no name"),
        ({"key": Path("probe.key")}, "uses no certificates"),
        ({"spool_bytes": 5}, "too small"),
        ({"user": "nobody-at-all"}, "there is no user"),
    ],
)
def test_plans_that_cannot_work_are_refused(tmp_path: Path, changed: dict[str, object], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        run(plan(9, tmp_path, lambda: Scripted(1), **changed), quiet)


def test_a_certificate_of_another_name_is_refused(tmp_path: Path) -> None:
    folder = make_authority(tmp_path / "ca").folder
    paths = {"certificate": folder / "probe.pem", "key": folder / "probe.key", "authority": folder / "ca.pem"}
    with pytest.raises(UsageError, match="is of probe, not of other"):
        run(plan(9, tmp_path, lambda: Scripted(1), is_insecure=False, name="other", **paths), quiet)


def test_batches_that_would_be_too_large_are_halved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensor, "MOST_BYTES", 3_000)
    with Server(None) as server:
        status = run(plan(server.port, tmp_path, lambda: Scripted(4_000)), quiet)
    rows = [envelope.rows for envelope, _ in delivered(server.log)]
    assert sum(rows) == status.spool["sent"]["flows"] == 4_000
    assert len(rows) > 1


def test_counters_are_plain_numbers() -> None:
    account = Account()
    account.packets, account.malformed, account.capture_start = 5, {"ip": 2, "tcp": 0}, 7
    account.unreadable = {"eth0": "is down"}
    found = counters(account)
    assert found["packets"] == 5
    assert found["malformed_ip"] == 2
    assert found["unreadable"] == 1
    assert not {"malformed_tcp", "capture_start"} & set(found)


def test_interfaces_are_opened_with_what_was_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    class CaptureSettings(msgspec.Struct):
        filter: str = ""
        snap_bytes: int = 1

    live = ModuleType("live")
    live.LiveSource = lambda *given: given  # type: ignore[attr-defined]
    settings = ModuleType("settings")
    settings.CaptureSettings = CaptureSettings  # type: ignore[attr-defined]
    monkeypatch.setattr(sensor, "import_module", lambda name: live if name.endswith("live") else settings)
    opened: object = listen("eth0", {"filter": "tcp"}, None)
    assert opened == ("eth0", "full", CaptureSettings("tcp"), None)
    with pytest.raises(UsageError, match="cannot be captured"):
        listen("eth0", {"snap_bytes": "many"}, None)


def test_a_replay_is_a_capture() -> None:
    source: Capture = Replay(Source(), 1.0)  # mypy holds it to the protocol
    source.stop()
    assert source.read(1.0) is None


class Source:
    def __iter__(self) -> Iterator[FlowBatch]:
        yield FlowBatch(flow_rows(0))

    def account(self) -> Account:
        return Account()

    def progress(self) -> tuple[int, int]:
        return 0, 0

    def alerts(self) -> tuple[()]:
        return ()


def opened(port: int) -> Capture:
    """What comes to a port of this machine, captured."""
    pytest.importorskip("infraspectre.capture.live", reason="this build has no live capture")
    if os.geteuid() != 0:
        pytest.skip("only root may capture")
    try:
        return listen("lo", {"filter": f"udp dst port {port}"}, None)
    except InfraSpectreError as error:
        pytest.skip(error.message)


def test_what_is_captured_arrives(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as target, Server(None) as server:
        target.bind((HOST, 0))
        source = opened(target.getsockname()[1])

        def talk() -> None:
            for _ in range(20):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                    sender.sendto(b"hello", target.getsockname())
            while source.account().packets < 20:
                time.sleep(0.01)
            source.stop()

        talking = threading.Thread(target=talk, daemon=True)

        def begin() -> Capture:
            talking.start()
            return source

        status = run(plan(server.port, tmp_path, begin), quiet)
        talking.join(5)
    assert status.capture["packets"] == status.spool["sent"]["flows"] == 20
    assert sum(envelope.rows for envelope, _ in delivered(server.log)) == 20
