from __future__ import annotations

import asyncio
import os
import random
import socket
from concurrent.futures import Future
from pathlib import Path

import polars as pl
import pytest

from infraspectre import __version__
from infraspectre._core import SCHEMA_VERSION
from infraspectre.adapters.certificates import Authority
from infraspectre.adapters.sensor_link import listener as listening
from infraspectre.adapters.sensor_link.intake import Intake
from infraspectre.adapters.sensor_link.listener import Listener, added, examine
from infraspectre.adapters.sensor_link.payloads import pack
from infraspectre.adapters.sensor_link.protocol import (
    MOST_IN_FLIGHT,
    Ack,
    Batch,
    Goodbye,
    Hello,
    Message,
    Refusal,
    Welcome,
    frame,
    read_frame,
)
from infraspectre.adapters.sensor_link.spool import LEAST_BYTES, Spool
from infraspectre.errors import InputError, OutputError, OverloadError, UsageError
from infraspectre.ports import Topic
from infraspectre.records.flow_batches import Sensor
from link_rooms import (
    CLOCK,
    HOST,
    credentials,
    delivered,
    flow_rows,
    hurry,
    make_authority,
    numbers,
    payload,
    sending,
    serving,
    until,
)
from log_fakes import MemoryLog


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)
    monkeypatch.setattr(listening, "WATCH_S", 0.02)
    monkeypatch.setattr(listening, "RETRY_S", 0.01)
    monkeypatch.setattr("infraspectre.adapters.sensor_link.client.WATCH_S", 0.02)


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an authority that nobody changes."""
    folder = tmp_path_factory.mktemp("authority") / "ca"
    make_authority(folder)
    return folder


def filled(folder: Path, count: int = 20) -> Spool:
    spool = Spool(folder / "spool", 16 * LEAST_BYTES)
    for number in range(count):
        spool.append(payload(number), 1)
    return spool


def test_batches_arrive_in_order_over_tls(tmp_path: Path, rooms: Path) -> None:
    async def run() -> None:
        log, spool = MemoryLog(), filled(tmp_path)
        async with (
            serving(log, rooms) as (listener, port),
            sending(spool, port, credentials(rooms, "probe", "sensor")) as link,
        ):
            assert await link.flush(8)
            await until(lambda: listener.sensors()[0].capture)
            [state] = listener.sensors()
        assert numbers(log) == list(range(20))
        assert (state.tenant, state.name, state.batches, state.flows) == ("default", "probe", 20, 20)
        assert state.capture == {"packets": 7}
        envelope, _ = next(delivered(log))
        assert (envelope.sensor, envelope.rows, envelope.first_at) == ("probe", 1, 1_700_000_000_000_000_000)

    asyncio.run(run())


def test_a_server_that_comes_later_gets_everything(tmp_path: Path) -> None:
    with socket.socket() as reserved:  # not listening: connections are refused
        reserved.bind((HOST, 0))
        port = reserved.getsockname()[1]

        async def run() -> None:
            log, spool = MemoryLog(), filled(tmp_path)
            async with sending(spool, port) as link:
                await until(lambda: link.state.attempts > 2)
                assert "no connection" in link.state.problem
                reserved.close()
                async with serving(log, None, port):
                    assert await link.flush(8)
            assert numbers(log) == list(range(20))

        asyncio.run(run())


def refusal(folder: Path, spool: Spool, own: object, name: str = "probe") -> tuple[str, list[int]]:
    """Connect to a server that should not accept it; return what the sensor is told and what arrived."""

    async def run() -> tuple[str, list[int]]:
        log = MemoryLog()
        async with (
            serving(log, folder) as (_, port),
            sending(spool, port, own, name) as link,  # type: ignore[arg-type]
        ):
            await until(lambda: link.state.problem)
            return link.state.problem, numbers(log)

    return asyncio.run(run())


def test_a_certificate_of_another_authority_is_refused(tmp_path: Path, rooms: Path) -> None:
    other = tmp_path / "other"
    make_authority(other)
    problem, arrived = refusal(rooms, filled(tmp_path), credentials(other, "probe", "sensor", rooms))
    assert "does not accept the certificate" in problem
    assert not arrived


def test_a_server_of_another_authority_is_refused(tmp_path: Path, rooms: Path) -> None:
    other = tmp_path / "other"
    make_authority(other)
    problem, arrived = refusal(rooms, filled(tmp_path), credentials(other, "probe", "sensor"))
    assert "server's certificate is not accepted" in problem
    assert not arrived


class Yesterday:
    def now(self) -> int:
        return CLOCK.now() - 3 * 86_400 * 10**9


def test_a_certificate_that_has_ended_is_refused(tmp_path: Path, rooms: Path) -> None:
    Authority(rooms, Yesterday()).issue("late", days=1)
    problem, arrived = refusal(rooms, filled(tmp_path), credentials(rooms, "late", "sensor"), "late")
    assert "this sensor: the certificate holds from" in problem
    assert not arrived


def test_a_sensor_has_the_name_in_its_certificate(tmp_path: Path, rooms: Path) -> None:
    problem, arrived = refusal(rooms, filled(tmp_path), credentials(rooms, "probe", "sensor"), "other")
    assert "of the sensor probe, not of the sensor other" in problem
    assert not arrived


def test_a_server_is_no_sensor(tmp_path: Path, rooms: Path) -> None:
    own = credentials(rooms, "server", "server")
    own.context = credentials(rooms, "probe", "sensor").context
    own.context.load_cert_chain(rooms / "server.pem", rooms / "server.key")
    problem, arrived = refusal(rooms, filled(tmp_path), own)
    assert "does not accept the certificate" in problem
    assert not arrived


def test_a_server_with_another_name_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "ca"
    authority = Authority.create(folder, CLOCK)
    authority.issue("server", "server", hosts=["192.0.2.1"])
    authority.issue("probe")
    problem, arrived = refusal(folder, filled(tmp_path), credentials(folder, "probe", "sensor"))
    assert "IP address mismatch" in problem
    assert not arrived


def test_a_sensor_of_another_tenant_is_another_sensor(tmp_path: Path, rooms: Path) -> None:
    Authority(rooms, CLOCK).issue("branch", tenant="acme")

    async def run() -> None:
        log, spool = MemoryLog(), filled(tmp_path, 1)
        async with (
            serving(log, rooms) as (listener, port),
            sending(spool, port, credentials(rooms, "branch", "sensor"), "branch") as link,
        ):
            assert await link.flush(8)
            assert [(each.tenant, each.name) for each in listener.sensors()] == [("acme", "branch")]
        assert [envelope.tenant for envelope, _ in delivered(log)] == ["acme"]

    asyncio.run(run())


def test_a_revoked_sensor_is_cut_at_once_and_never_comes_back(tmp_path: Path) -> None:
    authority = make_authority(tmp_path / "ca")

    async def run() -> None:
        log, spool = MemoryLog(), filled(tmp_path)
        own = credentials(authority.folder, "probe", "sensor")
        async with serving(log, authority.folder) as (listener, port), sending(spool, port, own) as link:
            assert await link.flush(8)
            authority.revoke("probe")
            await until(lambda: not link.state.is_connected)
            assert "revoked" in link.state.problem
            spool.append(payload(20), 1)
            await until(lambda: listener.turned_away)
        assert numbers(log) == list(range(20))
        assert link.state.connections == 1

    asyncio.run(run())


def test_new_certificates_are_taken_up_while_the_link_goes_on(tmp_path: Path) -> None:
    authority = make_authority(tmp_path / "ca")

    async def run() -> None:
        log, spool = MemoryLog(), filled(tmp_path)
        own = credentials(authority.folder, "probe", "sensor")
        async with serving(log, authority.folder) as (listener, port), sending(spool, port, own) as link:
            assert await link.flush(8)
            before = listener.credentials and listener.credentials.context
            authority.rotate("server")
            await until(lambda: listener.credentials and listener.credentials.context is not before)
            assert link.state.is_connected
            assert link.state.connections == 1
            authority.rotate("probe")
            await until(lambda: link.state.connections == 2 and link.state.is_connected)
            spool.append(payload(20), 1)
            assert await link.flush(8)
        assert numbers(log) == list(range(21))

    asyncio.run(run())


def test_broken_new_files_are_told_and_the_old_ones_hold(tmp_path: Path) -> None:
    authority = make_authority(tmp_path / "ca")

    async def run() -> None:
        log, spool = MemoryLog(), filled(tmp_path)
        own = credentials(authority.folder, "probe", "sensor")
        async with serving(log, authority.folder) as (listener, port):
            (authority.folder / "server.pem").write_text("nothing")
            await until(lambda: listener.problem)
            assert "server.pem" in listener.problem
            async with sending(spool, port, own) as link:
                assert await link.flush(8)

    asyncio.run(run())


async def talk(port: int, *said: bytes) -> list[Message]:
    """Say something to a server in plain text; return what it says until it hangs up."""
    reader, writer = await asyncio.open_connection(HOST, port)
    heard = []
    try:
        for part in said:
            writer.write(part)
        async with asyncio.timeout(8):
            while (found := await read_frame(reader)) is not None:
                heard.append(found[0])
    except (ConnectionError, OSError):
        pass
    finally:
        writer.close()
    return heard


def hello(**changed: object) -> bytes:
    said = {"versions": [1], "sensor": "probe", "schema": SCHEMA_VERSION, "program": __version__}
    return frame(Hello(**(said | {"at": 0, "epoch": "ab", "first": 0} | changed)))  # type: ignore[arg-type]


def heard(*said: bytes) -> tuple[list[Message], MemoryLog]:
    """Say something to a server; return what it says, and its log."""

    async def run() -> tuple[list[Message], MemoryLog]:
        log = MemoryLog()
        async with serving(log, None) as (_, port):
            return await talk(port, *said), log

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "is none"),
        (b"\0\0\0\5\0\0\0\0hello", "a message is none"),
        (b"\0\0\0\5\xff\0\0\0hello", "is none"),
        (frame(Goodbye("x")), "begins with hello"),
        (hello(versions=[7]), "speaks versions"),
        (hello(schema=99), "update the server first"),
        (hello(sensor="../x"), "no name"),
        (hello(epoch="not hexadecimal"), "a message is none"),
        (hello() + b"\0\0\0\0\0\0\0\0", "is none"),
        (hello() + frame(Ack("ab", 0, 1)), "a sensor does not say that"),
        (hello() + frame(Goodbye("x"), b"payload"), "has a payload"),
    ],
)
def test_whoever_breaks_the_rules_is_told_why_and_cut(said: bytes, reason: str) -> None:
    answers, log = heard(said)
    assert isinstance(answers[-1], Goodbye)
    assert reason in answers[-1].reason
    assert not numbers(log)


BAD_PAYLOADS = {
    "garbage": b"garbage" * 100,
    "nothing": b"\xff\xff\xff\xff\0\0\0\0",
    "a column too many": pack(flow_rows(0).with_columns(evil=1)),
    "a column too few": pack(flow_rows(0).drop("orig_ip")),
    "another type": pack(flow_rows(0).with_columns(orig_ip=1)),
    "a gap": pack(flow_rows(0).with_columns(orig_ip=None).cast({"orig_ip": str})),
    "other rows": pack(flow_rows(0, 3)),
}


@pytest.mark.parametrize("bad", BAD_PAYLOADS)
def test_hostile_payloads_are_refused_and_what_came_before_is_kept(bad: str) -> None:
    answers, log = heard(
        hello(), frame(Batch("ab", 0, 1), payload(0)), frame(Batch("ab", 1, 1), BAD_PAYLOADS[bad]),
        frame(Batch("ab", 2, 1), payload(2)),
    )  # fmt: skip
    assert isinstance(answers[0], Welcome)
    assert Ack("ab", 0, 16) in answers
    assert isinstance(answers[-2], Refusal)
    assert isinstance(answers[-1], Goodbye)
    assert answers[-2].sequence == 1
    assert numbers(log) == [0]


def test_a_refused_batch_is_given_up_and_told_by_the_next(tmp_path: Path) -> None:
    async def run() -> None:
        log, spool = MemoryLog(), filled(tmp_path, 3)
        spool.append(b"no flows at all", 9)
        for number in (4, 5):
            spool.append(payload(number), 1)
        async with serving(log, None) as (listener, port), sending(spool, port) as link:
            assert await link.flush(8)
            [state] = listener.sensors()
            assert (state.refused, state.missing, state.lost) == (1, 1, {"refused": 9})
        assert numbers(log) == [0, 1, 2, 4, 5]
        envelopes = [envelope for envelope, _ in delivered(log)]
        assert [(each.missing, each.lost) for each in envelopes] == [(0, {})] * 3 + [(1, {"refused": 9}), (0, {})]
        assert spool.account().lost["refused"].flows == 9

    asyncio.run(run())


def test_what_was_shed_is_told_to_the_server(tmp_path: Path) -> None:
    async def run() -> None:
        log, spool = MemoryLog(), Spool(tmp_path, LEAST_BYTES)
        for number in range(1_200):
            spool.append(payload(number), 1)
        shed = spool.account().lost["shed"].flows
        async with serving(log, None) as (listener, port), sending(spool, port) as link:
            assert await link.flush(20)
        assert shed > 0
        assert numbers(log) == list(range(shed, 1_200))
        assert [envelope.lost for envelope, _ in delivered(log) if envelope.lost] == [{"shed": shed}]
        assert listener.sensors()[0].lost == {"shed": shed}

    asyncio.run(run())


def test_an_overloaded_log_is_asked_again_and_a_failing_one_after_a_new_connection(tmp_path: Path) -> None:
    class Failing:
        """Fails from time to time."""

        def __init__(self, topic: Topic) -> None:
            self.topic = topic
            self.failures = [OverloadError("too much waits"), OverloadError("again"), OutputError("disk full")]

        def __getattr__(self, name: str) -> object:
            return getattr(self.topic, name)

        def append(self, data: list[bytes]) -> Future[int]:
            if self.failures:
                failed: Future[int] = Future()
                failed.set_exception(self.failures.pop(0))
                return failed
            return self.topic.append(data)

    async def run() -> None:
        log, spool = MemoryLog(), filled(tmp_path)
        async with serving(log, None) as (listener, port):
            topic = Failing(log.topic("flows"))
            listener.intake._topic = topic  # type: ignore[assignment]
            async with sending(spool, port) as link:
                assert await link.flush(8)
            assert not topic.failures
            assert link.state.connections > 1
        assert numbers(log) == list(range(20))

    asyncio.run(run())


def test_a_server_that_talks_nonsense_is_left_and_asked_again(tmp_path: Path) -> None:
    chance = random.Random(3)

    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = [chance.randbytes(100), frame(Ack("ab", 0, 1)), frame(Welcome(1, {}, 16)) + frame(Ack("ab", 9, 16))]
        writer.write(chance.choice(said))
        writer.close()

    async def run() -> None:
        log, spool = MemoryLog(), filled(tmp_path)
        nonsense = await asyncio.start_server(babble, HOST, 0)
        port = nonsense.sockets[0].getsockname()[1]
        async with sending(spool, port) as link:
            await until(lambda: link.state.attempts > 20)
            nonsense.close()
            await nonsense.wait_closed()
            async with serving(log, None, port):
                assert await link.flush(8)
        assert numbers(log) == list(range(20))

    asyncio.run(run())


def test_a_server_that_falls_silent_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infraspectre.adapters.sensor_link.client.SILENCE_S", 0.05)
    released = asyncio.Event()

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frame(Welcome(1, {}, 16)))
        await released.wait()
        writer.close()

    async def run() -> None:
        spool = filled(tmp_path)
        silent = await asyncio.start_server(greet, HOST, 0)
        async with sending(spool, silent.sockets[0].getsockname()[1]) as link:
            await until(lambda: link.state.connections > 2)
            assert "does not answer" in link.state.problem or link.state.is_connected
        released.set()
        silent.close()
        await silent.wait_closed()
        assert spool.account().queued.batches == 20

    asyncio.run(run())


def test_a_sensor_that_falls_silent_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "SILENCE_S", 0.05)
    answers, _ = heard(hello())
    assert isinstance(answers[-1], Goodbye)
    assert "Timeout" in answers[-1].reason


def test_whoever_does_not_greet_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "GREETING_S", 0.05)
    answers, _ = heard()
    assert answers == [Goodbye("nobody greeted", 0.01)]


def test_a_slow_log_slows_the_sensor_down(tmp_path: Path) -> None:
    class Slow:
        """Takes a while to make things durable, in turn."""

        def __init__(self, topic: Topic) -> None:
            self.topic = topic
            self.taken: list[int] = []

        def __getattr__(self, name: str) -> object:
            return getattr(self.topic, name)

        def append(self, data: list[bytes]) -> Future[int]:
            self.taken.append(len(data))
            late: Future[int] = Future()
            asyncio.get_running_loop().call_later(0.01, lambda: late.set_result(self.topic.append(data).result()))
            return late

    async def run() -> None:
        log, spool = MemoryLog(), filled(tmp_path, 100)
        async with serving(log, None) as (listener, port):
            slow = Slow(log.topic("flows"))
            listener.intake._topic = slow  # type: ignore[assignment]
            async with sending(spool, port) as link:
                await until(lambda: slow.taken)
                assert spool._flying <= MOST_IN_FLIGHT
                assert await link.flush(8)
        assert numbers(log) == list(range(100))
        assert max(slow.taken) <= MOST_IN_FLIGHT
        assert len(slow.taken) < 100, "what waits goes into the log together"

    asyncio.run(run())


def test_more_than_was_granted_is_a_breach() -> None:
    class Stuck:
        def __init__(self, topic: Topic) -> None:
            self.begin, self.end = topic.begin, topic.end
            self.first: Future[int] = Future()

        def append(self, data: list[bytes]) -> Future[int]:
            return self.first

    async def run() -> None:
        async with serving(MemoryLog(), None) as (listener, port):
            stuck = Stuck(listener.intake._topic)
            listener.intake._topic = stuck  # type: ignore[assignment]
            batches = [frame(Batch("ab", number, 1), payload(number)) for number in range(MOST_IN_FLIGHT + 1)]
            talking = asyncio.create_task(talk(port, hello(), *batches))
            await until(lambda: listener.sensors() and listener.sensors()[0].is_connected)
            await asyncio.sleep(0.2)
            stuck.first.set_result(0)
            said = await talking
            assert isinstance(said[-1], Goodbye)
            assert "more batches" in said[-1].reason

    asyncio.run(run())


def test_connections_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "MOST_CONNECTIONS", 1)

    async def run() -> None:
        async with serving(MemoryLog(), None) as (listener, port):
            first = asyncio.create_task(talk(port, hello()))
            await until(listener.sensors)
            assert await talk(port, hello(sensor="other")) == []
            assert listener.turned_away == {"too many connections": 1}
            first.cancel()

    asyncio.run(run())


def test_names_and_reasons_cannot_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "MOST_SENSORS", 3)
    monkeypatch.setattr(listening, "MOST_REASONS", 2)

    async def run() -> None:
        async with serving(MemoryLog(), None) as (listener, port):
            for number in range(6):
                await talk(port, hello(sensor=f"probe-{number}"), frame(Goodbye("done")))
            assert len(listener.sensors()) == 3
            for number in range(6):
                await talk(port, frame(Batch("ab", 0, 1)) if number else b"x" * 8)
            assert sum(listener.turned_away.values()) == 9
            assert len(listener.turned_away) == 3

    asyncio.run(run())


@pytest.mark.parametrize("column", ["started_at", "ended_at"])
def test_flows_of_the_future_are_refused(column: str) -> None:
    rows, sensor = flow_rows(0, 3), Sensor("default", "probe")
    latest = int(rows["ended_at"].max())  # type: ignore[arg-type]
    assert examine(sensor, Batch("0", 0, 3), pack(rows), latest).last_at == latest
    late = rows.with_columns(pl.Series(column, [latest, latest + 1, latest]))
    with pytest.raises(InputError, match="of the future"):
        examine(sensor, Batch("0", 0, 3), pack(late), latest)


def test_reasons_of_losses_cannot_fill_the_memory() -> None:
    counts: dict[str, int] = {"shed": 1}
    for number in range(1_000):
        counts = added(counts, {f"reason {number}": 2, "shed": 1})
    assert len(counts) == listening.MOST_REASONS + 1
    assert (counts["shed"], sum(counts.values())) == (1_001, 3_001)


def test_a_server_stops_at_once_though_somebody_does_not_greet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "STOP_S", 0.05)

    async def run() -> float:
        async with serving(MemoryLog(), None) as (listener, port):
            talking = asyncio.create_task(talk(port))
            await until(lambda: listener.greeting)
            began = asyncio.get_running_loop().time()
        took = asyncio.get_running_loop().time() - began
        talking.cancel()
        return took

    assert asyncio.run(run()) < 3


def test_a_clock_that_jumps_cuts_only_whoever_it_concerns(tmp_path: Path, rooms: Path) -> None:
    class Jumping:
        ahead_ns = 0

        def now(self) -> int:
            return CLOCK.now() + self.ahead_ns

    async def run() -> None:
        log, spool, clock = MemoryLog(), filled(tmp_path), Jumping()
        own = credentials(rooms, "probe", "sensor")
        async with serving(log, rooms) as (listener, port), sending(spool, port, own) as link:
            assert await link.flush(8)
            assert listener.credentials
            listener.credentials._clock = clock
            clock.ahead_ns = 89 * 86_400 * 10**9
            await asyncio.sleep(0.1)
            assert link.state.is_connected
            clock.ahead_ns = 91 * 86_400 * 10**9
            await until(lambda: not link.state.is_connected)
            assert "not now" in link.state.problem
            clock.ahead_ns = 0
            await until(lambda: link.state.is_connected)
            spool.append(payload(20), 1)
            assert await link.flush(8)
        assert numbers(log) == list(range(21))

    asyncio.run(run())


def test_without_tls_only_this_machine_may_connect() -> None:
    async def start(*, is_forced: bool) -> None:
        listener = Listener(Intake(MemoryLog()), None, CLOCK, is_forced=is_forced)
        await listener.start("0.0.0.0", 0)
        await listener.stop()

    with pytest.raises(UsageError, match="without TLS"):
        asyncio.run(start(is_forced=False))
    asyncio.run(start(is_forced=True))


def test_the_newest_connection_of_a_sensor_is_in_force() -> None:
    async def run() -> None:
        log = MemoryLog()
        async with serving(log, None) as (listener, port):
            first = asyncio.create_task(talk(port, hello(), frame(Batch("ab", 0, 1), payload(0))))
            await until(lambda: numbers(log) == [0])
            second = asyncio.create_task(talk(port, hello(), frame(Batch("ab", 0, 1), payload(0))))
            answers = await first
            assert isinstance(answers[-1], Goodbye)
            assert "took over" in answers[-1].reason
            await until(lambda: listener.sensors()[0].duplicates == 1)
            second.cancel()
        assert numbers(log) == [0]

    asyncio.run(run())


DISCONNECTS = int(os.environ.get("INFRASPECTRE_TEST_DISCONNECTS", "150"))


class Relay:
    """Passes bytes on between a sensor and its server, and cuts connections at random."""

    def __init__(self, port: int, chance: random.Random, most: int) -> None:
        self.port = port
        self.chance = chance
        self.cuts = 0
        self.most = most

    async def start(self) -> int:
        self.server = await asyncio.start_server(self.serve, HOST, 0)
        port: int = self.server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        self.server.close()
        await self.server.wait_closed()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            other_reader, other_writer = await asyncio.open_connection(HOST, self.port)
        except OSError:
            writer.transport.abort()
            return
        left = self.chance.randrange(200, 10_000) if self.cuts < self.most else 1 << 60
        ways = [self.pass_on(reader, other_writer, left), self.pass_on(other_reader, writer, left // 8)]
        tasks = [asyncio.create_task(way) for way in ways]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        self.cuts += 1
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        writer.transport.abort()
        other_writer.transport.abort()

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, left: int) -> None:
        while left > 0 and (data := await reader.read(min(left, 4_096))):
            left -= len(data)
            writer.write(data)
            await writer.drain()


@pytest.mark.parametrize("is_secured", [False, True])
def test_disconnects_at_random_places_lose_and_double_nothing(tmp_path: Path, rooms: Path, is_secured: bool) -> None:
    async def run() -> None:
        log, spool = MemoryLog(), filled(tmp_path, 50)
        own = credentials(rooms, "probe", "sensor") if is_secured else None
        async with serving(log, rooms if is_secured else None) as (_, port):
            relay = Relay(port, random.Random(6), DISCONNECTS // 3 if is_secured else DISCONNECTS)
            async with sending(spool, await relay.start(), own) as link:
                while relay.cuts < relay.most:
                    if spool.account().queued.batches < 50:
                        spool.append(payload(0), 1)
                    await asyncio.sleep(0.001)
                assert await link.flush(10)
            await relay.stop()
            [known] = Intake(log).known(Sensor("default", "probe")).values()
        sequences = [envelope.sequence for envelope, _ in delivered(log)]
        assert sequences == list(range(known))
        assert known == spool.account().sent.batches
        assert not spool.account().lost

    asyncio.run(run())
