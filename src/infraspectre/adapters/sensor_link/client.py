"""The sensor's end of the link: sends what the spool holds, forgets what the server has, and connects again."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Callable
from contextlib import suppress

import msgspec
from cryptography import x509

from infraspectre import __version__
from infraspectre._core import SCHEMA_VERSION
from infraspectre.adapters.certificates import identity
from infraspectre.adapters.sensor_link.credentials import Credentials
from infraspectre.adapters.sensor_link.packets import Orders, Ring
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
    PacketOrder,
    ProtocolError,
    Refusal,
    Report,
    Welcome,
    frame,
    read_frame,
)
from infraspectre.adapters.sensor_link.spool import Spool
from infraspectre.errors import InfraSpectreError
from infraspectre.ports import Clock
from infraspectre.records.feed import FLOWS_TOPIC
from infraspectre.telemetry import Span, Untraced, Value, span

LEAST_WAIT_S = 0.25
MOST_WAIT_S = 30.0
"""Between attempts to connect; each wait is about twice the one before."""
REPORT_S = 5.0
FAREWELL_S = 1.0
WATCH_S = 1.0
"""New certificates are noticed so soon."""
SILENT_END = "the server ended the connection without a word, as it does where it does not accept the certificate"


class LinkState(msgspec.Struct):
    """Says how the link is, and counts what went over it."""

    is_connected: bool = False
    attempts: int = 0
    connections: int = 0
    acknowledged: int = 0
    """Batches."""
    refused: int = 0
    problem: str = ""
    """Why there is no connection, or why the last one ended."""


class LinkError(InfraSpectreError):
    """Says why a connection ended, and how long to wait at least."""

    def __init__(self, reason: str, retry_s: float = 0.0) -> None:
        """Remember both."""
        super().__init__(reason)
        self.retry_s = retry_s


class Link:
    """Brings batches from a spool to the server."""

    def __init__(
        self,
        spool: Spool,
        name: str,
        address: tuple[str, int],
        credentials: Credentials | None,
        capture: Callable[[], dict[str, int]],
        clock: Clock,
        chance: random.Random,
        ring: Ring | None = None,
    ) -> None:
        """Prepare to connect as a sensor; `capture` returns what was counted before the link.

        Orders for packets are answered from a ring, if there is one.
        """
        self.state = LinkState()
        self._spool = spool
        self._name = name
        self._address = address
        self._credentials = credentials
        self._capture = capture
        self._clock = clock
        self._chance = chance
        self._orders = Orders(ring) if ring is not None else None
        self._woken = asyncio.Event()
        self._flying = 0
        self._traced: dict[tuple[str, int], Span | Untraced] = {}
        """Of each batch under way."""
        self._credit = 0
        self._writer: asyncio.StreamWriter | None = None
        self._loop = asyncio.get_running_loop()
        spool.on_append = self.wake

    def wake(self) -> None:
        """Say, from any thread, that there is something to send."""
        with suppress(RuntimeError):  # the loop is over
            self._loop.call_soon_threadsafe(self._woken.set)

    async def run(self) -> None:
        """Connect, send, and connect again, until cancelled."""
        wait_s = LEAST_WAIT_S
        while True:
            before = self.state.acknowledged
            least_s = await self._attempt()
            wait_s = LEAST_WAIT_S if self.state.acknowledged > before else min(2 * wait_s, MOST_WAIT_S)
            await asyncio.sleep(max(least_s, wait_s) * self._chance.uniform(0.5, 1.0))

    async def flush(self, within_s: float) -> bool:
        """Wait until the server has everything, and tell whether it does."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self._spool.account().queued.batches:
                    await asyncio.sleep(0.01)
        return not self._spool.account().queued.batches

    async def report(self) -> None:
        """Tell the server the last counts, and goodbye, if there is a connection."""
        if self._writer is not None:
            with suppress(OSError):
                self._writer.write(frame(Report(self._capture(), self._counters())))
                self._writer.write(frame(Goodbye("the sensor stops")))
                await self._writer.drain()

    async def _attempt(self) -> float:
        """Connect and send until the connection ends; return how long to wait at least before the next attempt."""
        self.state.attempts += 1
        try:
            await self._connect()
        except LinkError as ended:
            self.state.problem = ended.problem
            return ended.retry_s
        except InfraSpectreError as error:
            self.state.problem = error.message
        except TimeoutError:
            self.state.problem = "the server does not answer"
        except OSError as error:
            self.state.problem = in_words(error)
        finally:
            self.state.is_connected = False
            self._spool.rewind()
            for traced in self._traced.values():  # they are sent again, within other spans
                traced.end("connection lost")
            self._traced.clear()
        return 0.0

    async def _connect(self) -> None:
        host, port = self._address
        context = self._context()
        async with asyncio.timeout(GREETING_S):
            reader, writer = await asyncio.open_connection(host, port, ssl=context)
        try:
            self._check_server(writer)
            epoch, first = self._spool.first()
            now, keeps_packets = self._clock.now(), self._orders is not None
            writer.write(
                frame(Hello(list(VERSIONS), self._name, SCHEMA_VERSION, __version__, now, epoch, first, keeps_packets))
            )
            self._greet(await read_frame(reader, GREETING_S))
            self._writer = writer
            await self._exchange(reader, writer)
        finally:
            self._writer = None
            await close(writer)

    def _context(self) -> ssl.SSLContext | None:
        if self._credentials is None:
            return None
        with suppress(InfraSpectreError):  # files that are just being changed: those read before may do
            self._credentials.refresh()
        if fault := self._credentials.fault(self._credentials.own):
            raise LinkError(f"this sensor: {fault}")
        return self._credentials.context

    def _check_server(self, writer: asyncio.StreamWriter) -> None:
        if self._credentials is None:
            return
        secured = writer.get_extra_info("ssl_object")
        peer = x509.load_der_x509_certificate(secured.getpeercert(binary_form=True))
        if fault := self._credentials.fault(peer):
            raise LinkError(f"the server: {fault}")
        if (role := identity(peer).role) != "server":
            raise LinkError(f"the other side is a {role}, not a server")

    def _greet(self, found: tuple[object, bytes] | None) -> None:
        match found:
            case (Welcome() as welcome, _):
                self._spool.settle(welcome.known)
                self._flying, self._credit = 0, welcome.credit
                self.state.connections += 1
                self.state.is_connected, self.state.problem = True, ""
            case (Goodbye(reason=reason, retry_s=retry_s), _):
                raise LinkError(reason, retry_s)
            case None:
                raise LinkError(SILENT_END)
            case _:
                raise ProtocolError("the server does not greet")

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Send and listen until either ends."""
        parts = [self._send(writer), self._listen(reader, writer)]
        if self._orders is not None:
            parts.insert(0, self._orders.answer(writer))
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
        # What the server said last explains more than that writing to it failed.
        for end in reversed(ends):
            if isinstance(end, Exception):
                raise end

    async def _send(self, writer: asyncio.StreamWriter) -> None:
        """Send batches as far as there is credit; returns once new certificates call for a new connection."""
        beat_at = report_at = watch_at = self._loop.time()
        while True:
            self._woken.clear()
            while self._flying < self._credit and (taken := self._spool.take()) is not None:
                held, payload = taken
                self._flying += 1
                number = held.frame
                traced = self._begun(held.epoch, number.sequence, number.rows)
                batch = Batch(
                    held.epoch, number.sequence, number.rows, dict(held.lost), self._capture(), traced.traceparent
                )
                writer.write(frame(batch, payload))
                await writer.drain()
            now = self._loop.time()
            if now >= report_at:
                writer.write(frame(Report(self._capture(), self._counters())))
                report_at, beat_at = now + REPORT_S, now + HEARTBEAT_S
            elif now >= beat_at:
                writer.write(frame(Heartbeat()))
                beat_at = now + HEARTBEAT_S
            if now >= watch_at:
                watch_at = now + WATCH_S
                if self._has_new_credentials():
                    return
            with suppress(TimeoutError):
                async with asyncio.timeout(WATCH_S):
                    await self._woken.wait()

    def _has_new_credentials(self) -> bool:
        try:
            return self._credentials is not None and self._credentials.refresh()
        except InfraSpectreError as error:
            self.state.problem = error.message
            return False

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Do what the server says until it ends the connection."""
        while (found := await read_frame(reader, SILENCE_S)) is not None:
            match found[0]:
                case Ack(epoch=epoch, sequence=sequence, credit=credit):
                    self._arrived(epoch, sequence)
                    count = self._spool.acknowledge(epoch, sequence)
                    self._flying -= count
                    self._credit = min(credit, MOST_IN_FLIGHT)
                    self.state.acknowledged += count
                    self._woken.set()
                case Refusal(epoch=epoch, sequence=sequence, reason=reason):
                    self._spool.refuse(epoch, sequence)
                    self.state.refused += 1
                    self.state.problem = f"the server refused a batch: {reason}"
                case Heartbeat():
                    pass
                case PacketOrder() as order if self._orders is not None:
                    self._orders.take(order, writer)
                case Goodbye(reason=reason, retry_s=retry_s):
                    raise LinkError(reason, retry_s)
                case _:
                    raise ProtocolError("a server does not say that")
        raise LinkError("the connection ended")

    def _begun(self, epoch: str, sequence: int, rows: int) -> Span | Untraced:
        """Return the span of a batch, which ends with its acknowledgement."""
        about: dict[str, Value] = {
            "messaging.system": "infraspectre",
            "messaging.operation.type": "send",
            "messaging.destination.name": FLOWS_TOPIC,
            "messaging.message.id": f"{epoch}.{sequence}",
            "infraspectre.sensor": self._name,
            "infraspectre.flows": rows,
            "server.address": self._address[0],
            "server.port": self._address[1],
        }
        traced = self._traced[epoch, sequence] = span("send flows", "producer", about)
        return traced

    def _arrived(self, epoch: str, sequence: int) -> None:
        """End the spans of a batch and all before it."""
        for key in [key for key in self._traced if key[0] == epoch and key[1] <= sequence]:
            self._traced.pop(key).end()

    def _counters(self) -> dict[str, int]:
        """Return the spool's account in flows."""
        account = self._spool.account()
        lost = {f"lost_{reason}": tally.flows for reason, tally in account.lost.items()}
        return {"received": account.received.flows, "sent": account.sent.flows, "queued": account.queued.flows} | lost


async def close(writer: asyncio.StreamWriter) -> None:
    """Close a connection, politely where the other side takes part in it."""
    with suppress(OSError, TimeoutError):
        writer.close()
        async with asyncio.timeout(FAREWELL_S):
            await writer.wait_closed()
    writer.transport.abort()


def in_words(error: OSError) -> str:
    """Say why there is no connection."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the server's certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"no TLS with the server: {error.reason}"
    return f"no connection: {error.strerror or error}"
