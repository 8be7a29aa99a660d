"""The few things needed from outside, as protocols; adapters fulfil them and `app.py` chooses which."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self

from infraspectre.records.flows import FlowBatch
from infraspectre.records.payload import Payload

if TYPE_CHECKING:
    import polars as pl

    from infraspectre.records.delivery import Outgoing, Receipt
    from infraspectre.records.events import Entry, Position
    from infraspectre.records.knowledge import Answer, Knowledge
    from infraspectre.records.models import Stage, Version
    from infraspectre.records.queries import Collection, Filter, Query
    from infraspectre.records.response import Action, AuditEntry


class Account:
    """Counts what a source read and what it lost; complete once its batches have been taken."""

    def __init__(self) -> None:
        """Begin with nothing; times are nanoseconds since the epoch.

        `without_flow` counts sound packets that belong to no flow, by kind, such as arp, or link-type for one that is
        not decoded; `ambiguous_fragment_bytes` counts bytes of IP fragments that contradict those that came first.
        """
        self.packets = 0
        self.bytes = 0
        self.flows = 0
        self.without_flow: dict[str, int] = {}
        self.malformed: dict[str, int] = {}
        self.unreadable: dict[str, str] = {}
        self.shed: dict[str, int] = {}
        self.ambiguous_fragment_bytes = 0
        self.capture_start: int | None = None
        self.capture_end: int | None = None

    @classmethod
    def of(cls, summary: Mapping[str, object]) -> Self:
        """Return what a reader of the core says of itself."""
        account = cls()
        vars(account).update((name, summary[name]) for name in vars(account) if name in summary)
        return account

    @property
    def has_losses(self) -> bool:
        """Tell whether something could not be read or was shed."""
        return bool(self.unreadable) or any(self.shed.values())


class Alerts(Protocol):
    """Holds alerts of other engines as EVE objects; there may be more than fit into memory."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[dict[str, Any]]: ...


class Claims(Protocol):
    """Hands over what hosts claimed by ARP about the owners of addresses."""

    def claims(self) -> pl.DataFrame:
        """Return the claims since the last call, in the order of packets.

        Columns: packet (its number), at (nanoseconds since the epoch), vlan, address, mac, target, is_reply.
        """
        ...


class FlowSource(Protocol):
    """Gives batches of finished flows, and the account of where they came from."""

    def __iter__(self) -> Iterator[FlowBatch]: ...

    def account(self) -> Account:
        """Return what was read and lost so far."""
        ...

    def progress(self) -> tuple[int, int]:
        """Return the bytes read and the bytes in all; 0 in all where that is unknown."""
        ...

    def alerts(self) -> Alerts:
        """Return the alerts that came with the flows so far, as EVE objects."""
        ...


class PayloadSource(Protocol):
    """Gives what flows carried, put together again."""

    def payloads(self) -> Iterator[Payload]:
        """Yield the payloads that became complete since the last call."""
        ...


class FlowWriter(Protocol):
    """Writes batches of flows to a file that appears, whole, on `close`."""

    def write(self, flows: FlowBatch) -> None:
        """Append the rows of a batch."""
        ...

    def close(self) -> None:
        """Finish the file and give it its name."""
        ...

    def discard(self) -> None:
        """Remove what was written so far."""
        ...


class ModelStore(Protocol):
    """Keeps versions of models by name, the stage of each, and where each came from; at most one is in production."""

    def register(self, folder: Path, name: str, stage: Stage, at: str) -> Version:
        """Keep a copy of a model directory as the next version of a name, and return it; `at` is RFC 3339.

        A model that is a version of the name already moves to the stage instead. Raises InputError for a model that was
        changed and UsageError for a name that cannot be one.
        """
        ...

    def promote(self, name: str, version: int, stage: Stage, at: str) -> Version:
        """Move a version to a stage and return it; what was in production before is archived for one that comes."""
        ...

    def names(self) -> list[str]:
        """Return the names that have versions, sorted."""
        ...

    def history(self, name: str) -> list[Version]:
        """Return the versions of a name, the first one first; raises UsageError for a name without any."""
        ...

    def folder(self, name: str, version: int) -> Path:
        """Return the directory of a version; raises InputError if it holds another model than was registered."""
        ...


class ActionRunner(Protocol):
    """Carries out actions upon addresses where something can: a firewall, a list, a remote service.

    What it changes has to end by itself, or be undone, when the lease of the action ends.
    """

    @property
    def name(self) -> str:
        """Name the runner."""
        ...

    def preview(self, action: Action) -> str:
        """Return exactly what `run` would do, without doing any of it."""
        ...

    def run(self, action: Action) -> str:
        """Carry an action out within its deadline, and return what was done; raises OutputError if that fails."""
        ...

    def undo(self, action: Action) -> str:
        """Take an action back, also one that is gone already, and return what was done; raises OutputError."""
        ...


class AuditTrail(Protocol):
    """Keeps what became of actions, in order; what is appended is durable when the call returns."""

    def append(self, entry: AuditEntry) -> None:
        """Add an entry; raises OutputError if it cannot be made durable."""
        ...

    def entries(self) -> list[AuditEntry]:
        """Return all entries, the first one first; raises InputError naming file and line."""
        ...


class KnowledgeGraph(Protocol):
    """Keeps the knowledge graph, and answers questions in Cypher; it can be built again at any time."""

    def write(self, knowledge: Knowledge) -> None:
        """Add nodes and edges, each once, however often they are written."""
        ...

    def query(self, text: str, parameters: Mapping[str, Any] | None = None) -> Answer:
        """Answer a question that changes nothing; raises InputError for one that cannot be answered."""
        ...

    def close(self) -> None:
        """Release what is held."""
        ...


class Clock(Protocol):
    """Tells the time, so that tests and replays can set it."""

    def now(self) -> int:
        """Return nanoseconds since the epoch, UTC."""
        ...


class Topic(Protocol):
    """Keeps entries in the order in which they were appended; one process appends, any may read."""

    @property
    def epoch(self) -> str:
        """Name the incarnation of the topic, in letters and digits."""
        ...

    @property
    def begin(self) -> int:
        """Return the number of the first entry that is still kept."""
        ...

    @property
    def end(self) -> int:
        """Return the number that the next entry will have; all before it are durable."""
        ...

    def append(self, data: Sequence[bytes]) -> Future[int]:
        """Add entries, all or none; the future gives the number of the first once they are durable.

        The future raises OutputError where they could not be made durable, OverloadError where too much waits already.
        """
        ...

    def read(self, start: int, most: int = 1_000, wait_s: float = 0.0) -> list[Entry]:
        """Return durable entries from a number on, waiting up to so long for the first.

        Raises InputError for a number beyond `end`; GapError, which says where to go on, for one before `begin` and for
        a damaged or lost entry.
        """
        ...


class EventLog(Protocol):
    """Keeps topics, and how far each consumer has come in them."""

    def topic(self, name: str) -> Topic:
        """Return a topic, which is made by its first entry."""
        ...

    def cursor(self, consumer: str, topic: str) -> int | None:
        """Return the number that a consumer wants next, None for one that has not begun in this epoch."""
        ...

    def position(self, consumer: str, topic: str) -> Position | None:
        """Return where a consumer was, also in an epoch of the topic that is over; None for one that never was."""
        ...

    def move(self, consumer: str, topic: str, sequence: int) -> None:
        """Remember durably that a consumer is done with all before a number."""
        ...

    def close(self) -> None:
        """Make durable what waits, and release what is held."""
        ...


class Outbox(Protocol):
    """Hands events of the feed to a receiver: a webhook, or another system."""

    def send(self, events: Sequence[Outgoing]) -> Receipt:
        """Hand over events in order, and return what became of them; each may arrive more than once, with its key."""
        ...


class Stored(NamedTuple):
    """Is a record as a store holds it."""

    key: str
    revision: int
    """Grows by 1 with each change, from 1."""
    changed_at: int
    """Nanoseconds since the epoch, UTC."""
    body: bytes
    """JSON."""


class Page(NamedTuple):
    """Is a part of the rows asked for; `next` is None on the last page."""

    rows: list[Stored]
    next: str | None


class Damage(NamedTuple):
    """Says what is damaged in a store."""

    collection: str = ""
    """Empty for what concerns the store as a whole."""
    tenant: str = ""
    key: str = ""
    """The record, if it is one."""
    problem: str = ""


class RecordStore(Protocol):
    """Keeps records of tenants by collection and key; every call names its tenant, and sees no other's records."""

    @property
    def is_local(self) -> bool:
        """Tell whether what reads a few rows is answered at once, since no other machine or program is asked."""
        ...

    def put(
        self,
        tenant: str,
        collection: Collection,
        key: str,
        record: Mapping[str, Any],
        expected: int | None = None,
    ) -> Stored:
        """Write a record; what the collection's fields name is found by its value in it.

        Raises ConflictError where the revision is not the expected one; 0 expects that there is none.
        """
        ...

    def put_many(self, tenant: str, collection: Collection, records: Mapping[str, Mapping[str, Any]]) -> None:
        """Write many records in one transaction."""
        ...

    def get(self, tenant: str, collection: Collection, key: str) -> Stored | None:
        """Return a record; raises InputError for one that is damaged."""
        ...

    def delete(self, tenant: str, collection: Collection, key: str, expected: int | None = None) -> bool:
        """Remove a record and tell whether there was one; raises ConflictError as `put` does."""
        ...

    def page(self, tenant: str, collection: Collection, query: Query, is_listed: bool = False) -> Page:
        """Return records that pass all filters, in order; raises InputError for a query that cannot be answered.

        Those of a list have in their bodies what the collection's fields name, and no more.
        """
        ...

    def count(self, tenant: str, collection: Collection, query: Query, most: int = 10_000) -> int:
        """Count the records that pass all filters, up to a number."""
        ...

    def tenants(self, collection: Collection) -> list[str]:
        """Return the tenants that have records, for what the platform does by itself for each."""
        ...

    def verify(self) -> list[Damage]:
        """Look at everything, and return what is damaged."""
        ...

    def repair(self) -> list[Damage]:
        """Move damaged records aside, make again what the others are found by, and return what was moved."""
        ...

    def erase(self, tenant: str, entity: str, pseudonym: str | None = None) -> int:
        """Remove records that name an address, or write a pseudonym in its place; returns how many there were."""
        ...

    def close(self) -> None:
        """Release what is held."""
        ...


class Verification(NamedTuple):
    """Says what was compared with its digest, and what was found damaged and set aside."""

    files: int
    damaged: tuple[str, ...]
    """The files that were not as they were written."""
    lost_rows: int
    """Rows that cannot be read any more since now."""
    lost_rows_in_all: int
    """All rows that are lost, since the table began."""


class TableStore(Protocol):
    """Keeps flows and detections of tenants in columns, partitioned by day."""

    def append(self, tenant: str, table: str, frame: pl.DataFrame, batch: str) -> None:
        """Add rows durably, once for each name of a batch however often it is given."""
        ...

    def page(
        self, tenant: str, table: str, query: Query, columns: Sequence[str] = ()
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Return rows that pass all filters, in order, and where the next page begins; without an order newest first.

        Without columns, rows have all that there are. Raises InputError, and OverloadError for what takes too long.
        """
        ...

    def scan(
        self, tenant: str, table: str, start: int, end: int, columns: Sequence[str] = (), address: str = ""
    ) -> Iterator[pl.DataFrame]:
        """Yield the rows of a span of time, in nanoseconds, in frames of bounded size.

        Given an address, only rows that have it in a column of addresses.
        """
        ...

    def totals(
        self, tenant: str, table: str, start: int, end: int, by: Sequence[str], every: int, most: int = 0
    ) -> pl.DataFrame:
        """Count rows and sum bytes of a span of time by columns, in buckets of so many nanoseconds; 0 is one bucket.

        Columns: bucket (its beginning), those of `by`, rows, bytes; `most` asks for the largest alone, largest first.
        Raises InputError.
        """
        ...

    def hosts(self, tenant: str, table: str, start: int, end: int, most: int) -> pl.DataFrame:
        """Sum up the rows of a span of time by the addresses at either end, those with the most bytes first.

        Columns: address, rows, sent, received (bytes), first, last (times); a row counts for both of its ends.
        """
        ...

    def erase(self, tenant: str, entity: str) -> int:
        """Remove all rows of an address for good, and return how many there were."""
        ...

    def retain(self, tenant: str, table: str, start: int) -> int:
        """Remove whole days that lie before a time, unless they came in after it, and return how many rows they had."""
        ...

    def compact(self, tenant: str, table: str) -> int:
        """Sort what was appended into larger files, and return how many rows that were; to be called every minute."""
        ...

    def verify(self, tenant: str, table: str) -> Verification:
        """Compare all files with their digests, and set aside what is damaged."""
        ...

    def tenants(self, table: str) -> list[str]:
        """Return the tenants that have rows, for what the platform does by itself for each."""
        ...

    def close(self) -> None:
        """Release what is held."""
        ...


def every(
    records: RecordStore, tenant: str, collection: Collection, *filters: Filter, is_listed: bool = False
) -> Iterator[Stored]:
    """Yield all records that pass filters, page by page; raises InputError as `page`."""
    from infraspectre.records.queries import MOST_ROWS, Query

    after: str | None = None
    while True:
        page = records.page(tenant, collection, Query(filters, limit=MOST_ROWS, after=after), is_listed=is_listed)
        yield from page.rows
        if (after := page.next) is None:
            return
