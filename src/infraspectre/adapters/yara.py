"""YARA rules, through yara-x: read with each refusal named, and applied to payloads within bounds of size and time."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from infraspectre.errors import InputError, UsageError
from infraspectre.intel.attack import technique
from infraspectre.intel.rule_files import files_in
from infraspectre.ports import PayloadSource
from infraspectre.records import Detection, Technique
from infraspectre.records.payload import Payload, PayloadKind
from infraspectre.records.words import plural
from infraspectre.soma.detector import Case, Casebook, Finding, in_bytes

if TYPE_CHECKING:
    import polars as pl
    from yara_x import Compiler, Rule, Rules, Scanner

SUFFIXES = (".yar", ".yara")
LARGEST_FILE = 16 << 20
"""Larger files are no rules written by people."""
EXTERNALS = ("filename", "filepath", "extension", "filetype", "owner")
"""Variables from outside that public rules expect; a payload's name gives the first three, the others stay empty."""
RULE_HEAD = re.compile(rb"^[ \t]*(?:(?:private|global)[ \t]+)*rule[ \t]+(\w+)", re.MULTILINE)
TECHNIQUE = re.compile(r"\bT\d{4}(?:\.\d{3})?\b")
TECHNIQUE_KEY = re.compile(r"att&?a?ck|mitre|technique", re.IGNORECASE)
"""What the names of metadata hold that name techniques, such as attack_id, mitre_att or technique."""

PIECE = 1 << 20
"""Bytes of a file that are read at once."""
MAX_NAME = 4_096
"""Most characters of a payload's name; what is before them does not count."""
MAX_MEANING = 200
"""Most characters of a rule's name and description in a summary."""
KINDS: dict[PayloadKind, str] = {
    "stream": "stream",
    "http_body": "HTTP payload",
    "mail_attachment": "mail attachment",
    "smb_file": "SMB file",
    "ftp_file": "FTP file",
    "file": "file",
}
"""What kinds of payloads are called in a summary."""


class YaraSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds the scan of a payload, and says how a match is scored."""

    max_bytes: int = 32 << 20
    """Bytes of a payload that are scanned: what comes after them is not."""
    timeout_s: int = 10
    """Seconds after which the scan of a payload is given up."""
    max_matches: int = 1_000
    """Matches of each pattern that are looked at."""
    score: float = 0.7
    """Score of a rule whose metadata has no `score` from 0 to 100: somebody took the trouble to write it."""
    capacity: int = 8_192
    """Cases kept."""


class YaraRefusal(NamedTuple):
    """Says which rule of which file is not used, and why."""

    path: str
    line: int | None
    rule: str | None
    reason: str

    def __str__(self) -> str:
        place = [str(part) for part in (self.path, self.line) if part is not None]
        return f"{':'.join(place)}: {f'{self.rule}: ' if self.rule else ''}{self.reason}"


class YaraRules(NamedTuple):
    """Holds compiled rules, and what is wrong with the others."""

    compiled: Rules
    names: list[str]
    refused: list[YaraRefusal]
    settings: Mapping[str, str] = {}
    """Says by Suricata's dotted names how payloads are put together."""


def load_yara(paths: Sequence[Path]) -> YaraRules:
    """Compile the rules in files and folders; each file is a namespace of its own, and none includes another.

    Raises InputError when a file cannot be read or no rule is left, UsageError when yara-x is not installed.
    """
    compiler = _compiler()
    sources: dict[str, bytes] = {}
    for path in _files(paths):
        sources[str(path)] = source = _read(path)
        compiler.new_namespace(str(path))
        compiler.add_source(source.decode("utf-8", "replace"), origin=str(path))
    refused = [_refusal(error, sources) for error in compiler.errors()]
    compiled = compiler.build()
    names = [rule.identifier for rule in compiled]
    if not names:
        first = refused[0] if refused else YaraRefusal(str(paths[0]), None, None, "there is none")
        raise InputError(f"no YARA rule can be used: {first.reason}", path=first.path, line=first.line)
    return YaraRules(compiled, names, refused)


def _compiler() -> Compiler:
    """Return a compiler that leaves out wrong rules, and reads no file that it was not given."""
    try:
        from yara_x import Compiler
    except ImportError as error:
        remedy = "install it with: pip install 'infraspectre[yara]'"
        raise UsageError("YARA rules need the package yara-x", remedy=remedy) from error
    compiler = Compiler(relaxed_re_syntax=True, includes_enabled=False)
    compiler.ignore_invalid_rules(True)
    for name in EXTERNALS:
        compiler.define_global(name, "")
    return compiler


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        found = list(files_in(path, SUFFIXES))
        if not found:
            raise InputError("holds no YARA rules", path=path, remedy=f"their names end in {' or '.join(SUFFIXES)}")
        yield from found


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise InputError(f"is larger than {in_bytes(LARGEST_FILE)}", path=path, remedy="split it")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from error


def _refusal(error: dict[str, Any], sources: dict[str, bytes]) -> YaraRefusal:
    """Name the place and the rule of a compiler's error."""
    label = error["labels"][0]
    path, place = label["code_origin"], label["span"]["start"]
    heads = list(RULE_HEAD.finditer(sources[path]))
    before = bisect_right([head.start() for head in heads], place)
    rule = heads[before - 1][1].decode() if before else None
    return YaraRefusal(path, error["line"], rule, f"{error['title']}: {label['text']}")


class Key(NamedTuple):
    """Identifies which rule matched between whom."""

    rule: str
    orig: str
    resp: str


class MatchCase(Case):
    """Gathers the payloads that a rule matched between two hosts."""

    def __init__(self) -> None:
        """Start with no match."""
        super().__init__()
        self.payload_bytes = 0
        self.kind: PayloadKind = "file"
        self.metadata: dict[str, Any] = {}


class YaraScanner:
    """Finds payloads that YARA rules match; `shed` counts those of which it had to leave something out."""

    name = "yara"

    def __init__(self, rules: YaraRules, settings: YaraSettings | None = None) -> None:
        """Start with no case."""
        from yara_x import Scanner

        self._settings = settings or YaraSettings()
        self._scanner: Scanner = Scanner(rules.compiled)
        self._scanner.set_timeout(self._settings.timeout_s)
        self._scanner.max_matches_per_pattern(self._settings.max_matches)
        self._book: Casebook[Key, MatchCase] = Casebook(self.name, self._settings.capacity, MatchCase, self._judge)
        self.shed: Counter[str] = Counter()

    def scan(self, payload: Payload) -> list[Detection]:
        """Return what the rules newly find in a payload, or find ten times as often."""
        content = self._content(payload.chunks)
        touched = [self._absorb(payload, len(content), rule) for rule in self.matches(payload.name, content)]
        return self._book.review(touched)

    def finish(self) -> list[Detection]:
        """Return matches that grew since their last report."""
        return self._book.close()

    def matches(self, name: str, content: bytes) -> tuple[Rule, ...]:
        """Return the rules that match a content of this name; none when time runs out."""
        from yara_x import ScanError
        from yara_x import TimeoutError as OutOfTime

        told = sayable(name)
        path = PurePosixPath(told.replace("\\", "/"))
        for variable, value in (("filename", path.name), ("filepath", told), ("extension", path.suffix)):
            self._scanner.set_global(variable, value)
        try:
            return self._scanner.scan(content).matching_rules
        except OutOfTime:
            self.shed["yara_timeout"] += 1
        except ScanError:
            self.shed["yara_error"] += 1
        return ()

    def match_file(self, path: Path) -> set[str]:
        """Return the names of the rules that match a file; raises InputError when it cannot be read."""
        try:
            with path.open("rb") as file:
                content = self._content(iter(partial(file.read, PIECE), b""))
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", path=path) from error
        return {rule.identifier for rule in self.matches(str(path), content)}

    def _content(self, chunks: Iterable[bytes]) -> bytes:
        """Put a payload together up to the bound."""
        content = bytearray()
        for chunk in chunks:
            room = self._settings.max_bytes - len(content)
            content += chunk[:room]
            if len(chunk) > room:
                self.shed["yara_truncated"] += 1
                break
        return bytes(content)

    def _absorb(self, payload: Payload, size: int, rule: Rule) -> Key:
        key = Key(rule.identifier, payload.orig, payload.resp)
        case = self._book[key]
        packets = [] if payload.packet is None else [payload.packet]
        seen = {"first_seen": payload.started_at, "last_seen": payload.ended_at}
        case.absorb(seen | {"flows": 1, "flow_ids": [payload.flow_id], "packets": packets})
        case.payload_bytes += size
        case.kind = payload.kind
        case.metadata = dict(rule.metadata) | {"tags": " ".join(rule.tags)}
        case.show([sayable(payload.name)])
        return key

    def _judge(self, key: Key, case: MatchCase) -> Finding:
        meaning = case.metadata.get("description") or case.metadata.get("desc")
        what = f"{key.rule} ({meaning})" if meaning else key.rule
        objects = plural(case.flows, KINDS[case.kind])
        return Finding(
            detector=f"{self.name}:{key.rule}",
            category="malware_file",
            techniques=tuple(techniques_of(case.metadata)),
            score=self._score(case.metadata),
            orig=key.orig,
            resp=key.resp,
            summary=f"{key.orig} and {key.resp} exchanged {objects} of {in_bytes(case.payload_bytes)} that "
            f"the YARA rule {what[:MAX_MEANING]} matches",
            size=case.flows,
            measures={"payloads": case.flows, "payload_bytes": case.payload_bytes},
            thresholds={},
        )

    def _score(self, metadata: dict[str, Any]) -> float:
        score = metadata.get("score")
        return score / 100 if isinstance(score, int) and 0 <= score <= 100 else self._settings.score


class YaraDetector:
    """Is the detector among others that scans what the flows carried, as soon as it is complete."""

    name = YaraScanner.name
    columns = frozenset[str]()
    helpful = frozenset[str]()

    def __init__(self, source: PayloadSource, scanner: YaraScanner) -> None:
        """Scan the payloads of a source."""
        self._source = source
        self._scanner = scanner

    def detect(self, frame: pl.DataFrame) -> list[Detection]:
        """Return what is found in the payloads that became complete before these flows were judged."""
        return self._scan()

    def finish(self) -> list[Detection]:
        """Return what is found in the last payloads, and matches that grew since their last report."""
        return self._scan() + self._scanner.finish()

    def _scan(self) -> list[Detection]:
        return [found for payload in self._source.payloads() for found in self._scanner.scan(payload)]


def sayable(name: str) -> str:
    """Return a name of bounded length whose every sign can be written in UTF-8."""
    return name[-MAX_NAME:].encode("utf-8", "replace").decode()


def techniques_of(metadata: dict[str, Any]) -> Iterator[Technique]:
    """Yield the techniques of ATT&CK that a rule's metadata and tags name, each once."""
    told = (str(value) for name, value in metadata.items() if name == "tags" or TECHNIQUE_KEY.search(name))
    for identity in dict.fromkeys(found for text in told for found in TECHNIQUE.findall(text)):
        try:
            yield technique(identity)
        except KeyError:  # of another version or matrix
            continue
