"""Packets over the link: what is ordered arrives whole, within bounds, beside the flows."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from infraspectre.adapters.sensor_link.listener import Listener
from infraspectre.adapters.sensor_link.packets import BUSY, MAGIC, Deliveries
from infraspectre.adapters.sensor_link.protocol import MOST_ORDERS, PIECE_BYTES, PacketEnd, PacketOrder, PacketPiece
from infraspectre.adapters.sensor_link.spool import LEAST_BYTES, Spool
from infraspectre.errors import CaptureError, InfraSpectreError, InputError, OutputError, OverloadError
from infraspectre.records.flow_batches import Sensor
from link_rooms import credentials, make_authority, numbers, payload, sending, serving, until
from log_fakes import MemoryLog

PROBE = Sensor("default", "probe")
ORDER = PacketOrder("one", [("10.0.0.1", 1, "10.0.0.2", 53, 17)], 5, 9, 8 * PIECE_BYTES)


class Found:
    def __init__(self, parts: list[bytes]) -> None:
        self.packets, self.remarks = 7, ["its ring is short"]
        self._parts = parts

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._parts)


class Ring:
    """Answers every order alike."""

    def __init__(self, *parts: bytes, failure: InfraSpectreError | None = None) -> None:
        self.parts, self.failure = list(parts), failure
        self.asked: list[tuple[object, tuple[int, int], int]] = []

    def search(
        self, conversations: Sequence[tuple[str, int, str, int, int]], span: tuple[int, int], most_bytes: int
    ) -> Found:
        self.asked.append((list(conversations), span, most_bytes))
        if self.failure is not None:
            raise self.failure
        return Found(self.parts)


@asynccontextmanager
async def linked(folder: Path, log: MemoryLog, ring: Ring | None) -> AsyncIterator[tuple[Listener, Spool]]:
    """A server, and a sensor with a ring that is connected to it by mutual TLS."""
    authority = make_authority(folder / "ca").folder
    spool = Spool(folder / "spool", 64 * LEAST_BYTES)
    own = credentials(authority, "probe", "sensor")
    async with serving(log, authority) as (listener, port), sending(spool, port, own, ring=ring) as link:
        await until(lambda: link.state.is_connected)
        yield listener, spool
    spool.close()


def fetched(folder: Path, ring: Ring, order: PacketOrder = ORDER) -> tuple[PacketEnd, bytes]:
    """What comes of an order."""
    came = bytearray()

    async def ask() -> PacketEnd:
        async with linked(folder, MemoryLog(), ring) as (listener, _):
            assert listener.keepers("default") == [PROBE]
            assert listener.keepers("other") == []
            return await listener.fetch(PROBE, order, came.extend, 5.0)

    return asyncio.run(ask()), bytes(came)


def test_what_is_ordered_arrives_whole(tmp_path: Path) -> None:
    parts = [MAGIC, b"", random.Random(1).randbytes(2 * PIECE_BYTES + 3), b"end"]
    ring = Ring(*parts)
    end, came = fetched(tmp_path, ring)
    assert came == b"".join(parts)
    assert (end.packets, end.remarks, end.problem) == (7, ["its ring is short"], "")
    assert ring.asked == [(ORDER.conversations, (5, 9), ORDER.most_bytes)]


def test_a_search_that_fails_says_why(tmp_path: Path) -> None:
    end, came = fetched(tmp_path, Ring(failure=CaptureError("the disk is broken")))
    assert (end.problem, came) == ("the disk is broken", b"")


@pytest.mark.parametrize(
    ("parts", "problem"),
    [([b"no pcapng"], "no pcapng"), ([MAGIC, bytes(9 * PIECE_BYTES)], "more packets than were asked for")],
)
def test_a_server_does_not_take_what_it_did_not_order(tmp_path: Path, parts: list[bytes], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        fetched(tmp_path, Ring(*parts))


def test_a_sensor_without_a_ring_is_not_asked(tmp_path: Path) -> None:
    async def ask() -> None:
        async with linked(tmp_path, MemoryLog(), None) as (listener, _):
            assert listener.keepers("default") == []
            with pytest.raises(InputError, match="keeps no packets"):
                await listener.fetch(PROBE, ORDER, bytes, 5.0)

    asyncio.run(ask())


def test_flows_go_on_while_packets_come(tmp_path: Path) -> None:
    log, came = MemoryLog(), bytearray()

    async def ask() -> None:
        ring = Ring(MAGIC, *[bytes(PIECE_BYTES)] * 6)
        async with linked(tmp_path, log, ring) as (listener, spool):
            fetching = [listener.fetch(PROBE, order(name), came.extend, 5.0) for name in ("a", "b")]
            for number in range(20):
                spool.append(payload(number), 1)
            await asyncio.gather(*fetching)
            await until(lambda: len(numbers(log)) == 20)

    asyncio.run(ask())
    assert numbers(log) == list(range(20))
    assert len(came) == 2 * (len(MAGIC) + 6 * PIECE_BYTES)


def order(name: str) -> PacketOrder:
    return PacketOrder(name, ORDER.conversations, 5, 9, ORDER.most_bytes)


def test_what_cannot_be_written_ends_the_order(tmp_path: Path) -> None:
    def refuse(_: bytes) -> None:
        raise OutputError("no space is left")

    async def ask() -> None:
        async with linked(tmp_path, MemoryLog(), Ring(MAGIC)) as (listener, _):
            with pytest.raises(OutputError, match="no space"):
                await listener.fetch(PROBE, ORDER, refuse, 5.0)
            came = bytearray()
            await listener.fetch(PROBE, order("two"), came.extend, 5.0)
            assert came == MAGIC

    asyncio.run(ask())


def test_orders_are_bounded_in_number_and_time_and_end_with_the_connection() -> None:
    async def ask() -> None:
        sent: list[PacketOrder] = []
        deliveries = Deliveries(sent.append)
        with pytest.raises(TimeoutError):
            await deliveries.fetch(ORDER, bytes, 0.01)
        await deliveries.take(PacketPiece("one"), MAGIC)  # too late: nobody waits for it
        waiting = [asyncio.create_task(deliveries.fetch(order(str(each)), bytes, 5.0)) for each in range(MOST_ORDERS)]
        await asyncio.sleep(0)
        with pytest.raises(OverloadError, match=BUSY):
            await deliveries.fetch(ORDER, bytes, 5.0)
        await deliveries.take(PacketEnd("0", 3), b"")
        deliveries.abandon()
        first, *others = await asyncio.gather(*waiting, return_exceptions=True)
        assert first == PacketEnd("0", 3)
        assert all("connection ended" in str(each) for each in others)
        assert len(sent) == 1 + MOST_ORDERS

    asyncio.run(ask())
