"""The server's end of the link: accepts sensors, checks what they are and send, and acknowledges what is durable."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

import msgspec
import structlog
from cryptography import x509
from msgspec.structs import replace

from infraspectre._core import SCHEMA_VERSION
from infraspectre.adapters.certificates import identity
from infraspectre.adapters.sensor_link.credentials import Credentials
from infraspectre.adapters.sensor_link.intake import Arrival, Intake
from infraspectre.adapters.sensor_link.packets import Deliveries, Send
from infraspectre.adapters.sensor_link.payloads import MOST_BYTES, unpack
from infraspectre.adapters.sensor_link.protocol import (
    GREETING_S,
    HEARTBEAT_S,
    MOST_IN_FLIGHT,
    SILENCE_S,
    VERSIONS,
    Ack,
    Batch,
    Goodbye,
    Heartbeat,
    Hello,
    Message,
    PacketEnd,
    PacketOrder,
    PacketPiece,
    ProtocolError,
    Refusal,
    Report,
    Welcome,
    frame,
    read_frame,
)
from infraspectre.errors import InfraSpectreError, InputError, OutputError, OverloadError, UsageError
from infraspectre.ports import Clock
from infraspectre.records.access import DEFAULT_TENANT
from infraspectre.records.feed import FLOWS_TOPIC
from infraspectre.records.flow_batches import NAME, FlowEnvelope, Sensor
from infraspectre.records.times import UNITS
from infraspectre.security import is_loopback
from infraspectre.telemetry import Value, span

MOST_CONNECTIONS = 1_024
MOST_WAITING_BYTES = 16 * MOST_BYTES
"""Of payloads that are not yet durable, of all sensors together."""
MOST_GREETING = 64
"""Connections from one address that have not greeted yet: whoever holds as many keeps out nobody else."""
WATCH_S = 1.0
"""Revoked and ended certificates, and changed files, are noticed so soon."""
RETRY_S = 5.0
"""After a failure of the log, sensors wait so long at the least."""
GROUP_BYTES = 8 << 20
"""Batches that arrived are appended to the log together up to so many bytes."""
OVERLOADED_S = 0.1
"""The log is asked again after so long when too much waits in it, then after twice as long, up to a second."""
FAREWELL_S = 2.0
STOP_S = 5.0
MOST_SENSORS = 10_000
MOST_REASONS = 64
"""Reasons for which connections were turned away that are counted apart."""
OTHER_REASONS = "other reasons"
AHEAD_NS = UNITS["d"]
"""Flows may be so much later than the server's time: clocks differ, but flows of the future would be kept for ever, and
detectors would take for late whatever other sensors send."""


class SensorState(msgspec.Struct):
    """Says how a sensor is, and counts what came from it since the server began."""

    tenant: str
    name: str
    address: str = ""
    program: str = ""
    is_connected: bool = False
    position: str = ""
    """Epoch and number of the batch that comes next."""
    changed_at: int = 0
    """When it came or went, nanoseconds since the epoch, UTC."""
    heard_at: int = 0
    clock_ahead_ns: int = 0
    """How much later the sensor's clock was than the server's when it came."""
    connections: int = 0
    batches: int = 0
    flows: int = 0
    duplicates: int = 0
    refused: int = 0
    missing: int = 0
    lost: dict[str, int] = {}
    """Flows that the sensor said it lost, by reason."""
    capture: dict[str, int] = {}
    spool: dict[str, int] = {}
    reason: str = ""
    """Why it went."""
    keeps_packets: bool = False
    """Whether it can be asked for packets."""


logger = structlog.get_logger(__name__)
OnChange = Callable[[SensorState], None]


class Budget:
    """Bounds bytes that wait."""

    def __init__(self, most: int) -> None:
        """Allow so many bytes at once."""
        self._left = most
        self._changed = asyncio.Condition()

    async def take(self, size: int) -> None:
        """Wait until so many bytes are left, and take them."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._left >= size)
            self._left -= size

    async def give(self, size: int) -> None:
        """Give bytes back."""
        async with self._changed:
            self._left += size
            self._changed.notify_all()


class Listener:
    """Accepts connections of sensors; one connection of each is in force, the newest."""

    def __init__(
        self,
        intake: Intake,
        credentials: Credentials | None,
        clock: Clock,
        on_change: OnChange = lambda state: None,
        *,
        is_forced: bool = False,
    ) -> None:
        """Prepare to listen; without credentials nothing is encrypted, and only this machine connects unless forced."""
        self.intake = intake
        self.credentials = credentials
        self.clock = clock
        self.budget = Budget(MOST_WAITING_BYTES)
        self.turned_away: Counter[str] = Counter()
        self.greeting: Counter[str] = Counter()
        """Connections from each address that have not greeted yet."""
        self.problem = ""
        """What is wrong with files that changed, or with telling that sensors came or went."""
        self.is_closing = False
        self._is_forced = is_forced
        self._on_change = on_change
        self._states: dict[Sensor, SensorState] = {}
        self._sessions: dict[Sensor, Session] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: socket.socket | None = None
        self._accepting: list[asyncio.Task[None]] = []

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen, and return the address and port; port 0 is chosen by the system. Raises OutputError, UsageError."""
        loop = asyncio.get_running_loop()
        try:
            [family, kind, number, _, address], *_ = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            self._server = server = socket.socket(family, kind, number)
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.setblocking(False)
            server.bind(address)
        except OSError as error:
            raise OutputError(f"cannot listen at {host}:{port}: {error.strerror}", remedy="choose another") from error
        bound: tuple[str, int] = server.getsockname()[:2]
        if self.credentials is None and not self._is_forced and not is_loopback(bound[0]):
            server.close()
            raise UsageError(f"without TLS nobody listens at {host}", remedy="give certificates, or use 127.0.0.1")
        server.listen(128)
        self._accepting = [asyncio.create_task(self._accept(server)), asyncio.create_task(self._watch())]
        return bound

    async def stop(self) -> None:
        """Take no more, acknowledge what is on its way into the log, and say goodbye."""
        self.is_closing = True
        for task in self._accepting:
            task.cancel()
        await asyncio.gather(*self._accepting, return_exceptions=True)
        if self._server is not None:
            self._server.close()
        for session in list(self._sessions.values()):
            session.cut("the server stops")
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=STOP_S)
            for task in late:  # what becomes of their batches is in the log, where the next start finds it
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        with suppress(InfraSpectreError, TimeoutError):
            async with asyncio.timeout(FAREWELL_S):
                await asyncio.wrap_future(self.intake.save())

    def sensors(self) -> list[SensorState]:
        """Return how each sensor is that has connected since the start."""
        return [msgspec.structs.replace(state) for _, state in sorted(self._states.items())]

    def state(self, sensor: Sensor) -> SensorState:
        """Return what is counted about a sensor, to count more."""
        return self._states.setdefault(sensor, SensorState(sensor.tenant, sensor.name))

    async def admit(self, session: Session, sensor: Sensor) -> None:
        """Make a connection the one of its sensor; raises OverloadError while that cannot be."""
        if sensor not in self._states and len(self._states) >= MOST_SENSORS:
            raise OverloadError("there are too many sensors")
        while (earlier := self._sessions.get(sensor)) is not None:
            earlier.cut("another connection of this sensor took over")
            try:
                async with asyncio.timeout(GREETING_S):
                    await earlier.done.wait()
            except TimeoutError as error:
                raise OverloadError("an earlier connection of this sensor is still at work") from error
        self._sessions[sensor] = session

    def keepers(self, tenant: str) -> list[Sensor]:
        """Return the sensors of a tenant that are connected and keep packets."""
        return sorted(each for each in self._sessions if each.tenant == tenant and self.state(each).keeps_packets)

    async def fetch(self, sensor: Sensor, order: PacketOrder, write: Send, within_s: float) -> PacketEnd:
        """Have packets of a sensor written, as `Deliveries.fetch`; raises InputError for one that is not connected."""
        session = self._sessions.get(sensor)
        if session is None or not self.state(sensor).keeps_packets:
            raise InputError("is not connected, or keeps no packets", field=sensor.name)
        return await session.deliveries.fetch(order, write, within_s)

    def turn_away(self, reason: str, host: str = "") -> None:
        """Count and log a connection that was not accepted; what others wrote into a reason cannot fill the memory."""
        is_counted = reason in self.turned_away or len(self.turned_away) < MOST_REASONS
        key = reason if is_counted else OTHER_REASONS
        self.turned_away[key] += 1
        count = self.turned_away[key]
        if count & (count - 1) == 0:  # 1, 2, 4, 8 ...: whoever knocks for ever does not fill the log
            logger.warning("connection turned away", reason=reason, host=host, count=count)

    def dismiss(self, session: Session) -> None:
        """Forget a connection."""
        for sensor in [sensor for sensor, each in self._sessions.items() if each is session]:
            del self._sessions[sensor]

    def greeted(self, host: str) -> None:
        """Note that a connection from an address is greeting no more."""
        self.greeting[host] -= 1
        if not self.greeting[host]:
            del self.greeting[host]

    def tell(self, state: SensorState) -> None:
        """Tell that a sensor came or went."""
        logger.info(
            "sensor", tenant=state.tenant, sensor=state.name, is_connected=state.is_connected, reason=state.reason
        )
        try:
            self._on_change(msgspec.structs.replace(state))
        except InfraSpectreError as error:
            self.problem = error.message

    async def _accept(self, server: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(server)
            except OSError:  # too many open files: those that are there go on
                self.turn_away("not accepted")
                await asyncio.sleep(OVERLOADED_S)
                continue
            if len(self._tasks) >= MOST_CONNECTIONS or self.greeting[address[0]] >= MOST_GREETING:
                self.turn_away("too many connections", address[0])
                connection.close()
                continue
            self.greeting[address[0]] += 1
            task = asyncio.create_task(self._serve(connection, address[0], address[1]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, connection: socket.socket, host: str, port: int) -> None:
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        loop = asyncio.get_running_loop()
        context = self.credentials.context if self.credentials else None
        timeout = GREETING_S if context else None
        try:
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol, connection, ssl=context, ssl_handshake_timeout=timeout
            )
        except OSError as error:  # errors of TLS among them
            self.turn_away(f"no handshake: {explained(error)}", host)
            self.greeted(host)
            connection.close()
            return
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        await Session(self, reader, writer, (host, port)).run()

    async def _watch(self) -> None:
        """Read changed files, and cut who may not be connected any more."""
        while self.credentials is not None:
            await asyncio.sleep(WATCH_S)
            self._refresh(self.credentials)
            for session in list(self._sessions.values()):
                session.check_peer()

    def _refresh(self, credentials: Credentials) -> None:
        """Read changed files; where that is impossible, those that were read before hold."""
        try:
            if credentials.refresh():
                logger.info("certificates read")
            self.problem = ""
        except InfraSpectreError as error:
            if error.message != self.problem:
                logger.error("certificates not read", problem=error.message)
            self.problem = error.message


class Session:
    """Is one connection of a sensor."""

    def __init__(
        self, listener: Listener, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: tuple[str, int]
    ) -> None:
        """Take a connection whose handshake is over."""
        self.done = asyncio.Event()
        self.deliveries = Deliveries(self._send)
        self._listener = listener
        self._reader = reader
        self._writer = writer
        self._host, self._port = peer
        self._peer: x509.Certificate | None = None
        self._arrived: deque[Arrival | Refusal | None] = deque()
        self._news = asyncio.Event()
        self._waiting = 0
        self._waiting_bytes = 0
        self._goodbye: Goodbye | None = None
        self._reading: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Serve the sensor until the connection ends."""
        try:
            found = await self._welcome()
            if found is not None:
                hello, sensor = found
                await self._attend(hello, sensor, self._listener.state(sensor))
        finally:
            self._writer.transport.abort()
            self._listener.dismiss(self)
            self.deliveries.abandon()
            self.done.set()

    async def _welcome(self) -> tuple[Hello, Sensor] | None:
        """Return who connects, None for one that may not and was told so."""
        try:
            async with asyncio.timeout(GREETING_S):
                hello = await self._greeting()
                sensor = self._identify(hello)
            await self._listener.admit(self, sensor)
        except (InfraSpectreError, OSError, TimeoutError) as error:
            reason = error.message if isinstance(error, InfraSpectreError) else "nobody greeted"
            self._listener.turn_away(reason[:80], self._host)
            await self._end(Goodbye(reason[:256], RETRY_S))
            return None
        finally:
            self._listener.greeted(self._host)
        return hello, sensor

    def cut(self, reason: str, retry_s: float = 0.0) -> None:
        """End the connection once what is on its way into the log is there."""
        if self._goodbye is None:
            self._goodbye = Goodbye(reason[:256], retry_s)
        if self._reading is not None:
            self._reading.cancel()

    def check_peer(self) -> None:
        """End the connection if the sensor's certificate holds no more."""
        credentials = self._listener.credentials
        if credentials is not None and self._peer is not None and (fault := credentials.fault(self._peer)):
            self.cut(fault, RETRY_S)

    async def _greeting(self) -> Hello:
        found = await read_frame(self._reader, GREETING_S)
        if found is None:
            raise ProtocolError("the connection ended before a greeting")
        if not isinstance(found[0], Hello):
            raise ProtocolError("a connection begins with hello")
        return found[0]

    def _identify(self, hello: Hello) -> Sensor:
        """Return who connects; raises InputError for one that may not."""
        if not set(hello.versions) & set(VERSIONS):
            raise InputError(f"the server speaks versions {VERSIONS} of the protocol", remedy="update the older side")
        if not SCHEMA_VERSION - 1 <= hello.schema <= SCHEMA_VERSION:  # sensors are updated after their server
            problem = f"the server's flows have version {SCHEMA_VERSION}, those of the sensor {hello.schema}"
            raise InputError(problem, remedy="update the server first, then its sensors")
        credentials = self._listener.credentials
        if credentials is None:
            if not NAME.match(hello.sensor):
                raise InputError("a sensor has no name")
            return Sensor(DEFAULT_TENANT, hello.sensor)
        secured = self._writer.get_extra_info("ssl_object")
        self._peer = x509.load_der_x509_certificate(secured.getpeercert(binary_form=True))
        whom = identity(self._peer)
        if fault := credentials.fault(self._peer):
            raise InputError(fault, remedy="'infraspectre certificates' issues another")
        if whom.role != "sensor" or whom.name != hello.sensor:
            raise InputError(f"the certificate is of the {whom.role} {whom.name}, not of the sensor {hello.sensor}")
        return whom.sensor

    async def _attend(self, hello: Hello, sensor: Sensor, state: SensorState) -> None:
        now = self._listener.clock.now()
        state.address, state.program = f"{self._host}:{self._port}", hello.program
        state.is_connected, state.changed_at = True, now
        state.clock_ahead_ns, state.reason = hello.at - now, ""
        state.keeps_packets = hello.keeps_packets
        state.connections += 1
        state.position = f"{hello.epoch}.{hello.first}"
        self._listener.tell(state)
        version = max(set(hello.versions) & set(VERSIONS))
        self._send(Welcome(version, self._listener.intake.known(sensor), MOST_IN_FLIGHT))
        self._reading = asyncio.create_task(self._read(sensor, state))
        beating = asyncio.create_task(self._beat())
        committing = asyncio.create_task(self._commit(sensor, state))
        self._reading.add_done_callback(lambda _: self._queue(None))
        committing.add_done_callback(self._stop_reading)
        if self._goodbye is not None or self._listener.is_closing:
            self.cut("the server stops")
        # What is on its way into the log is never given up: what becomes of it has to be known to the next connection.
        await asyncio.gather(self._reading, committing, return_exceptions=True)
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
        await self._listener.budget.give(self._waiting_bytes)
        goodbye = self._goodbye or Goodbye(reason_of(self._reading))
        await self._end(goodbye)
        state.is_connected, state.changed_at, state.reason = False, self._listener.clock.now(), goodbye.reason
        self._listener.tell(state)

    async def _read(self, sensor: Sensor, state: SensorState) -> None:
        """Take what the sensor sends until it ends, fails or breaks the rules."""
        while (found := await read_frame(self._reader, SILENCE_S, self._admit)) is not None:
            message, payload = found
            state.heard_at = self._listener.clock.now()
            await self._writer.drain()  # who does not read what is said is not listened to
            match message:
                case Batch():
                    await self._arrive(sensor, state, message, payload)
                case Report():
                    state.capture, state.spool = message.capture, message.spool
                case Heartbeat():
                    pass
                case PacketPiece() | PacketEnd():
                    await self._deliver(message, payload)
                case Goodbye(reason=reason):
                    self._goodbye = self._goodbye or Goodbye(reason)
                    return
                case _:
                    raise ProtocolError("a sensor does not say that")

    async def _admit(self, size: int) -> None:
        await self._listener.budget.take(size)
        self._waiting_bytes += size

    async def _deliver(self, message: PacketPiece | PacketEnd, payload: bytes) -> None:
        """Hand over packets, and make room for others."""
        try:
            await self.deliveries.take(message, payload)
        finally:
            self._waiting_bytes -= len(payload)
            await self._listener.budget.give(len(payload))

    async def _arrive(self, sensor: Sensor, state: SensorState, batch: Batch, payload: bytes) -> None:
        """Check a batch and queue it for the log; one that is none is refused, and ends the connection."""
        self._waiting += 1
        if self._waiting > MOST_IN_FLIGHT:
            raise ProtocolError("more batches are under way than was granted")
        traced = span("receive flows", "consumer", about(sensor, batch), parent=batch.trace)
        try:
            latest = self._listener.clock.now() + AHEAD_NS
            envelope = await asyncio.to_thread(examine, sensor, batch, payload, latest)
        except InputError as error:
            traced.end(type(error).__name__)
            state.refused += 1
            self._queue(Refusal(batch.epoch, batch.sequence, error.message[:256]))
            raise ProtocolError(f"batch {batch.epoch}.{batch.sequence} is refused: {error.message}") from error
        state.capture = batch.capture
        self._queue(Arrival(replace(envelope, trace=traced.traceparent or batch.trace), payload, traced))

    async def _commit(self, sensor: Sensor, state: SensorState) -> None:
        """Bring into the log what has arrived, all of it at once, and acknowledge it."""
        while (each := await self._next()) is not None:
            if isinstance(each, Refusal):
                self._send(each)
            elif not await self._keep(sensor, state, [each, *self._more(len(each.payload))]):
                return

    def _queue(self, each: Arrival | Refusal | None) -> None:
        """Put something behind what has arrived; None is the end."""
        self._arrived.append(each)
        self._news.set()

    async def _next(self) -> Arrival | Refusal | None:
        """Return what has arrived first."""
        while not self._arrived:
            self._news.clear()
            await self._news.wait()
        return self._arrived.popleft()

    def _more(self, size: int) -> Iterator[Arrival]:
        """Yield what has arrived after a batch of so many bytes, as far as it goes into the log together with it."""
        while self._arrived and isinstance(following := self._arrived[0], Arrival):
            size += len(following.payload)
            if size > GROUP_BYTES:
                return
            self._arrived.popleft()
            yield following

    async def _keep(self, sensor: Sensor, state: SensorState, arrivals: list[Arrival]) -> bool:
        """Make batches durable and acknowledge them; where that fails the connection ends."""
        wait_s = OVERLOADED_S
        while True:
            try:
                taken = await self._listener.intake.take(sensor, arrivals)
                break
            except OverloadError:
                if self._goodbye is not None:
                    return False
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, 1.0)
            except OutputError as error:
                self.cut(f"the server cannot keep flows now: {error.problem}", RETRY_S)
                return False
        size = sum(len(each.payload) for each in arrivals)
        self._waiting -= len(arrivals)
        self._waiting_bytes -= size
        await self._listener.budget.give(size)
        state.batches += taken.batches
        state.flows += taken.flows
        state.duplicates += taken.duplicates
        state.missing += taken.missing
        state.lost = added(state.lost, taken.lost)
        for each in arrivals:
            each.traced.end()
        last = arrivals[-1].envelope
        state.position = f"{last.epoch}.{last.sequence + 1}"
        self._send(Ack(last.epoch, last.sequence, MOST_IN_FLIGHT))
        return True

    def _stop_reading(self, committing: asyncio.Task[None]) -> None:
        """Take nothing more once nothing can be made durable."""
        if (error := committing.exception()) is not None:
            self.cut(f"internal error: {type(error).__name__}", RETRY_S)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            self._send(Heartbeat())

    def _send(self, message: Message) -> None:
        if not self._writer.is_closing():
            self._writer.write(frame(message))

    async def _end(self, goodbye: Goodbye) -> None:
        """Say why, and close."""
        self._send(goodbye)
        try:
            self._writer.close()
            async with asyncio.timeout(FAREWELL_S):
                await self._writer.wait_closed()
        except (OSError, TimeoutError):
            self._writer.transport.abort()


def added(counts: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    """Return counts with more of them; a sensor cannot fill the memory with reasons that it makes up."""
    found = dict(counts)
    for reason, count in more.items():
        is_counted = reason in found or len(found) < MOST_REASONS
        key = reason if is_counted else OTHER_REASONS
        found[key] = found.get(key, 0) + count
    return found


def about(sensor: Sensor, batch: Batch) -> dict[str, Value]:
    """Return what spans say of a batch (OpenTelemetry semantic conventions, messaging)."""
    return {
        "messaging.system": "infraspectre",
        "messaging.operation.type": "receive",
        "messaging.destination.name": FLOWS_TOPIC,
        "messaging.message.id": f"{batch.epoch}.{batch.sequence}",
        "infraspectre.tenant": sensor.tenant,
        "infraspectre.sensor": sensor.name,
        "infraspectre.flows": batch.rows,
    }


def examine(sensor: Sensor, batch: Batch, payload: bytes, latest: int) -> FlowEnvelope:
    """Return the envelope of a batch; raises InputError for one that holds no flows, or some later than `latest`."""
    frame = unpack(payload, batch.rows)
    first, last, begun = frame["started_at"].min(), frame["ended_at"].max(), frame["started_at"].max()
    if not isinstance(first, int) or not isinstance(last, int) or not isinstance(begun, int):
        raise InputError("holds no times")
    if max(last, begun) > latest:
        raise InputError("holds flows of the future", remedy="set the clock of the sensor")
    return FlowEnvelope(
        sensor.tenant,
        sensor.name,
        batch.epoch,
        batch.sequence,
        batch.rows,
        first,
        last,
        lost=batch.lost,
        capture=batch.capture,
    )


def reason_of(reading: asyncio.Task[None]) -> str:
    """Say why a connection ended."""
    if reading.cancelled() or (error := reading.exception()) is None:
        return "the connection ended"
    return error.message if isinstance(error, InfraSpectreError) else f"{type(error).__name__}: {error}".rstrip(": ")


def explained(error: OSError) -> str:
    """Say why there is no connection, in words of which there are not many."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    return str(error.reason) if isinstance(error, ssl.SSLError) else type(error).__name__
