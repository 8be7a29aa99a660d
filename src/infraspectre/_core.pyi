"""The compiled core: packets to flow batches, and flow batches to Parquet."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, TypedDict, final

SCHEMA_VERSION: int

class Summary(TypedDict):
    packets: int
    bytes: int
    flows: int
    malformed: dict[str, int]
    without_flow: dict[str, int]
    unreadable: dict[str, str]
    shed: dict[str, int]
    ambiguous_fragment_bytes: int
    capture_start: int | None
    capture_end: int | None

class AlertSummary(Summary):
    alerts: int

class PayloadSummary(Summary):
    payloads: int

class Payload(TypedDict):
    flow_id: int
    orig: str
    resp: str
    direction: Literal["orig", "resp"]
    kind: Literal["stream", "http_body", "mail_attachment", "smb_file", "ftp_file", "file"]
    name: str
    data: bytes
    started_at: int
    ended_at: int
    packet: int | None
    is_truncated: bool

class Rule(TypedDict):
    gid: int
    sid: int
    rev: int
    msg: str
    action: str
    protocol: str
    classtype: str | None
    priority: int
    file: str
    line: int
    metadata: list[tuple[str, str]]
    references: list[tuple[str, str]]

class DisabledRule(TypedDict):
    gid: int
    sid: int
    msg: str
    file: str
    line: int

class Refusal(TypedDict):
    file: str
    line: int
    gid: int
    sid: int | None
    reason: str
    suggestion: str
    text: str

class RuleCost(TypedDict):
    gid: int
    sid: int
    msg: str
    checks: int
    matches: int
    ns: int

class Feature(TypedDict):
    name: str
    unit: str
    dtype: str
    definition: str
    source: str
    group: str
    sets: list[str]

class LiveSummary(Summary):
    received: int
    dropped: int
    freezes: int
    in_ring: int
    flows_shed: int
    early_shed: int
    outages: int
    fault: str | None

@final
class FlowColumns:
    def __len__(self) -> int: ...
    @property
    def is_early(self) -> bool: ...
    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

@final
class FlowReader:
    def __init__(
        self,
        paths: Sequence[str],
        *,
        features: Literal["base", "cic", "full"] = "full",
        batch_rows: int = 8192,
        read_ahead: bool = True,
        options: Mapping[str, float | int] | None = None,
    ) -> None: ...
    def __iter__(self) -> Iterator[FlowColumns]: ...
    def __next__(self) -> FlowColumns: ...
    def summary(self) -> Summary: ...
    def claims(self) -> FlowColumns: ...
    def progress(self) -> tuple[int, int]: ...

@final
class LiveReader:
    """Absent where live capture is not possible: it needs Linux."""

    def __init__(
        self,
        interface: str,
        *,
        program: Sequence[tuple[int, int, int, int]] | None = None,
        snap_bytes: int = 262_144,
        buffer_bytes: int = ...,
        block_timeout_ms: int = 1,
        promiscuous: bool = True,
        threads: int = 1,
        flush_ms: float = 1.0,
        queue_batches: int = 64,
        early: bool = False,
        features: Literal["base", "cic", "full"] = "full",
        batch_rows: int = 8192,
        options: Mapping[str, float | int] | None = None,
    ) -> None: ...
    def read(self, timeout_s: float) -> FlowColumns | None: ...
    def record(self, ring: PacketRecorder) -> None: ...
    def stop(self) -> None: ...
    def summary(self) -> LiveSummary: ...
    def claims(self) -> list[FlowColumns]: ...

@final
class RuleSet:
    def __init__(self, paths: Sequence[str], settings: Mapping[str, str] = ...) -> None: ...
    def __len__(self) -> int: ...
    @property
    def rules(self) -> list[Rule]: ...
    @property
    def disabled(self) -> list[DisabledRule]: ...
    @property
    def refused(self) -> list[Refusal]: ...

@final
class AlertReader:
    def __init__(
        self, paths: Sequence[str], rules: RuleSet, settings: Mapping[str, str] = ..., read_ahead: bool = True
    ) -> None: ...
    def __iter__(self) -> Iterator[bytes]: ...
    def __next__(self) -> bytes: ...
    def reload(self, rules: RuleSet) -> None: ...
    def summary(self) -> AlertSummary: ...
    def profile(self) -> list[RuleCost]: ...
    def progress(self) -> tuple[int, int]: ...

@final
class PayloadReader:
    def __init__(
        self,
        paths: Sequence[str],
        settings: Mapping[str, str] = ...,
        max_bytes: int = ...,
        read_ahead: bool = True,
    ) -> None: ...
    def __iter__(self) -> Iterator[list[Payload]]: ...
    def __next__(self) -> list[Payload]: ...
    def read(self, packets: int) -> list[Payload]: ...
    def summary(self) -> PayloadSummary: ...
    def progress(self) -> tuple[int, int]: ...

@final
class ParquetWriter:
    def __init__(self, path: str) -> None: ...
    def write(self, columns: FlowColumns) -> None: ...
    def close(self) -> None: ...

@final
class PacketExtractor:
    def __init__(
        self,
        paths: Sequence[str],
        conversations: Sequence[tuple[str, int, str, int, int]],
        *,
        first: int = ...,
        last: int = ...,
        most_bytes: int = ...,
    ) -> None: ...
    def __iter__(self) -> Iterator[bytes]: ...
    def __next__(self) -> bytes: ...
    def packets(self) -> int: ...
    def is_cut(self) -> bool: ...
    def unreadable(self) -> list[tuple[Path, str]]: ...

class RingAccount(TypedDict):
    offered: int
    written: int
    left_out: int
    failed: int
    dropped_bytes: int
    held_bytes: int
    since: int | None
    fault: str | None

@final
class PacketRecorder:
    def __init__(self, folder: str, *, most_bytes: int, snap_bytes: int, age_s: float) -> None: ...
    def copy(self, paths: Sequence[str]) -> int: ...
    def segments(self, first: int, last: int) -> list[Path]: ...
    def account(self) -> RingAccount: ...
    def close(self) -> None: ...

def link_type(interface: str) -> int: ...
def feature_schema() -> list[Feature]: ...
def unpacked(data: bytes, most: int) -> bytes: ...
