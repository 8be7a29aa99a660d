"""The event log on Kafka: a topic is one partition, the number of an entry is its offset, a cursor that of a group."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from threading import Event, Lock, RLock, Thread
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from infraspectre.adapters.log.layout import checked
from infraspectre.adapters.log.writing import Limits
from infraspectre.errors import InfraSpectreError, InputError, OutputError, OverloadError
from infraspectre.ports import Clock
from infraspectre.records.events import Entry, GapError, Position

PARTITION = 0
ANSWER_S = 15.0
"""A broker that says nothing for so long is taken for gone."""
POLL_S = 0.05
AT_ONCE = 1_000
MOST_BYTES = 1 << 26
AT = "at"
"""The header that holds the time to the nanosecond; timestamps of Kafka are milliseconds."""
PRODUCING = {"acks": "all", "enable.idempotence": True, "linger.ms": 1, "delivery.timeout.ms": 30_000}
CONSUMING = {"enable.auto.commit": False, "auto.offset.reset": "error", "fetch.wait.max.ms": 50}


class KafkaLog:
    """Keeps topics on a Kafka cluster; what is appended is on all replicas in sync once it is acknowledged."""

    def __init__(
        self,
        servers: str,
        clock: Clock,
        prefix: str = "infraspectre.",
        replicas: int = -1,
        options: Mapping[str, Any] | None = None,
        limits: Limits | None = None,
    ) -> None:
        """Use brokers such as `one:9092,two:9092`; names of topics and groups begin with the prefix.

        `options` are further settings of librdkafka, such as those for TLS; `replicas` of topics made here are as the
        cluster has them by default.
        """
        self.clock = clock
        self.prefix = prefix
        self.replicas = replicas
        self.limits = limits or Limits()
        self._options = {"bootstrap.servers": servers, "log_level": 0, **(options or {})}
        self.admin = AdminClient(self._options)
        waiting = {"queue.buffering.max.messages": 2 * self.limits.waiting_entries}
        self.producer = Producer(self._options | PRODUCING | waiting)
        self._topics: dict[str, KafkaTopic] = {}
        self._groups: dict[str, Consumer] = {}
        self._lock = Lock()
        self._closed = Event()
        self._thread = Thread(target=self._deliver, name="kafka deliveries", daemon=True)
        self._thread.start()

    @property
    def is_closed(self) -> bool:
        """Tell whether nothing is taken any more."""
        return self._closed.is_set()

    def consumer(self, group: str) -> Consumer:
        """Return a new consumer of a group, which the caller closes."""
        return Consumer(self._options | CONSUMING | {"group.id": self.prefix + group})

    def topic(self, name: str) -> KafkaTopic:
        """Return a topic, which is made at its first use."""
        with self._lock:
            if name not in self._topics:
                self._topics[name] = KafkaTopic(self, self.prefix + checked(name))
            return self._topics[name]

    def cursor(self, consumer: str, topic: str) -> int | None:
        """Return the number that a consumer wants next, None for one that has not begun in this epoch of the topic."""
        found = self.position(consumer, topic)
        return found.sequence if found is not None and found.epoch == self.topic(topic).epoch else None

    def position(self, consumer: str, topic: str) -> Position | None:
        """Return where a consumer was, also in an epoch of the topic that is over; None for one that never was."""
        with translated(InputError, topic):
            place = TopicPartition(self.prefix + checked(topic), PARTITION)
            (found,) = self._group(consumer).committed([place], timeout=ANSWER_S)
        return Position(found.metadata or "", found.offset) if found.offset >= 0 else None

    def move(self, consumer: str, topic: str, sequence: int) -> None:
        """Remember durably that a consumer is done with all before a number; raises OutputError."""
        with translated(OutputError, topic):
            made = self.topic(topic).made()
            place = TopicPartition(made.name, PARTITION, sequence, made.epoch)
            self._group(consumer).commit(offsets=[place], asynchronous=False)

    def _group(self, name: str) -> Consumer:
        with self._lock:
            if name not in self._groups:
                self._groups[name] = self.consumer(checked(name))
            return self._groups[name]

    def _deliver(self) -> None:
        while not self.is_closed:
            self.producer.poll(POLL_S)

    def close(self) -> None:
        """Make durable what waits, and release what is held."""
        if not self.is_closed:
            self._closed.set()
            self._thread.join()
            self.producer.flush(ANSWER_S)
            for group in self._groups.values():
                group.close()
            for topic in self._topics.values():
                topic.close()


class KafkaTopic:
    """Keeps entries in the partition of a topic; one process appends, so that appends stay together."""

    def __init__(self, log: KafkaLog, name: str) -> None:
        """Belong to a log; nothing is asked or made before it has to be."""
        self.name = name
        self._log = log
        self._epoch = ""
        self._waiting = self._bytes = 0
        self._appending = RLock()
        self._reading = Lock()
        self._consumer: Consumer | None = None
        self._next = -1

    @property
    def epoch(self) -> str:
        """Name the incarnation of the topic: the identity that Kafka gave it."""
        return self.made()._epoch

    @property
    def begin(self) -> int:
        """Return the number of the first entry that is still kept."""
        return self._bounds()[0]

    @property
    def end(self) -> int:
        """Return the number that the next entry will have; all before it are durable."""
        return self._bounds()[1]

    def made(self) -> KafkaTopic:
        """Make the topic unless it is there, and return it; raises OutputError."""
        if not self._epoch:
            with translated(OutputError, self.name):
                made = self._log.admin.create_topics([NewTopic(self.name, 1, self._log.replicas)])[self.name]
                if (error := made.exception(ANSWER_S)) and not is_there_already(error):
                    raise error
                identity = self._identity(time.monotonic() + ANSWER_S)
            halves = (identity.get_most_significant_bits(), identity.get_least_significant_bits())
            self._epoch = "".join(f"{half & 0xFFFF_FFFF_FFFF_FFFF:016x}" for half in halves)
        return self

    def _identity(self, deadline: float) -> Any:
        """Return what Kafka names the topic by; brokers hear of a new one only after a while."""
        while True:
            try:
                asked = self._log.admin.describe_topics(TopicCollection([self.name]))[self.name]
                return asked.result(ANSWER_S).topic_id
            except KafkaException as error:
                is_new = error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART
                if not is_new or time.monotonic() > deadline:
                    raise
                time.sleep(POLL_S)

    def append(self, data: Sequence[bytes]) -> Future[int]:
        """Add entries; the future gives the number of the first once they are durable.

        If it fails after all, the first of them may be there: Kafka knows no append of many without gaps in offsets.
        """
        future: Future[int] = Future()
        try:
            self.made()
            if data:
                self._produce(data, future)
            else:
                future.set_result(self.end)
        except InfraSpectreError as error:
            future.set_exception(error)
        return future

    def _produce(self, data: Sequence[bytes], future: Future[int]) -> None:
        at, size = self._log.clock.now(), sum(map(len, data))
        delivered = Delivery(self.name, len(data), future, lambda: self._wait(-len(data), -size))
        stamp: dict[str, Any] = {"timestamp": at // 1_000_000, "headers": [(AT, at.to_bytes(8, "big"))]}
        with self._appending:
            if self._log.is_closed:
                raise OutputError("is closed", path=self.name, remedy="open the log again")
            self._wait(len(data), size)
            for number, each in enumerate(data):
                try:
                    self._log.producer.produce(self.name, each, partition=PARTITION, on_delivery=delivered, **stamp)
                except (KafkaException, BufferError) as error:
                    delivered.give_up(len(data) - number, str(error))
                    return

    def _wait(self, entries: int, size: int) -> None:
        """Count what waits; raises OverloadError where it would be more than there is room for."""
        limits = self._log.limits
        with self._appending:
            full = self._waiting + entries > limits.waiting_entries or self._bytes + size > limits.waiting_bytes
            if entries > 0 and self._waiting and full:
                raise OverloadError(f"{self._waiting:,} entries wait to be written", remedy="try again later")
            self._waiting, self._bytes = self._waiting + entries, self._bytes + size

    def read(self, start: int, most: int = 1_000, wait_s: float = 0.0) -> list[Entry]:
        """Return durable entries from a number on, waiting up to so long for the first; see `Topic.read`."""
        begin, end = self._bounds()
        if start > end:
            raise InputError(f"ends before entry {start}", path=self.name, remedy=f"read from {end} on")
        if start < begin:
            raise GapError("is not kept any more", begin, path=self.name, field=f"entry {start}")
        wanted = min(most, end - start, AT_ONCE)
        with self._reading, translated(InputError, self.name):
            if wanted > 0:
                return self._consumed(start, wanted, ANSWER_S)
            return self._consumed(start, 1, wait_s) if wait_s > 0 and most > 0 else []

    def _consumed(self, start: int, wanted: int, wait_s: float) -> list[Entry]:
        if start != self._next:
            self._following().assign([TopicPartition(self.name, PARTITION, start)])
        self._next = -1
        found: list[Entry] = []
        size = 0
        while len(found) < wanted and size < MOST_BYTES:
            messages = self._following().consume(min(wanted - len(found), 100), wait_s)
            if not messages:
                break
            entries = [entry_of(message) for message in messages]
            size += sum(len(entry.data) for entry in entries)
            found += entries
        self._next = start + len(found)
        return found

    def _following(self) -> Consumer:
        if self._consumer is None:
            self._consumer = self._log.consumer("reader")
        return self._consumer

    def _bounds(self) -> tuple[int, int]:
        with self._reading, translated(InputError, self.made().name):
            place = TopicPartition(self.name, PARTITION)
            bounds: tuple[int, int] = self._following().get_watermark_offsets(place, timeout=ANSWER_S)
            return bounds

    def close(self) -> None:
        """Give the connection back."""
        with self._reading:
            if self._consumer is not None:
                self._consumer.close()
                self._consumer = None


class Delivery:
    """Waits for the acknowledgements of the entries of one append."""

    def __init__(self, topic: str, entries: int, future: Future[int], done: Callable[[], None]) -> None:
        """Resolve a future once all entries are there, or some are not; `done` is called before."""
        self._topic = topic
        self._left = entries
        self._future = future
        self._done = done
        self._first = -1
        self._problem = ""
        self._lock = Lock()

    def __call__(self, error: KafkaError | None, message: Message) -> None:
        """Take an acknowledgement; they come in order."""
        if self._first < 0:
            self._first = message.offset() or 0
        self.give_up(1, error.str() if error else "")

    def give_up(self, entries: int, problem: str) -> None:
        """Wait for so many entries no longer, since they are there or there is a problem."""
        with self._lock:
            self._problem = self._problem or problem
            self._left -= entries
            if self._left:
                return
        self._done()
        if self._problem:
            self._future.set_exception(OutputError(f"cannot be written: {self._problem}", path=self._topic))
        else:
            self._future.set_result(self._first)


def entry_of(message: Message) -> Entry:
    """Return a message as an entry; raises KafkaException."""
    if error := message.error():
        raise KafkaException(error)
    headers = dict(message.headers() or ())
    at = headers.get(AT)
    nanoseconds = int.from_bytes(at, "big") if isinstance(at, bytes) else message.timestamp()[1] * 1_000_000
    return Entry(message.offset() or 0, nanoseconds, message.value() or b"")


def is_there_already(error: BaseException) -> bool:
    """Tell whether a topic could not be made since it is there."""
    return isinstance(error, KafkaException) and error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS


@contextmanager
def translated(kind: type[InfraSpectreError], topic: str) -> Iterator[None]:
    """Translate errors of Kafka into one of ours that names the topic."""
    try:
        yield
    except (KafkaException, BufferError, TimeoutError) as error:
        said = error.args[0] if error.args else error
        text = said.str() if isinstance(said, KafkaError) else str(said) or "no answer"
        raise kind(f"Kafka: {text}", path=topic, remedy="look whether the brokers are up") from error
