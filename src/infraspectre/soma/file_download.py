"""Suspicious downloads: programs fetched from bare addresses, or sent under a false name."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import polars as pl

from infraspectre.ml.bounded import BoundedTable, DistinctCounter
from infraspectre.records import Detection
from infraspectre.records.words import plural
from infraspectre.soma.detector import (
    IDENTITY,
    SECOND,
    Case,
    Casebook,
    Finding,
    Row,
    completed,
    few_hosts,
    gathered_parts,
    host_of,
)
from infraspectre.soma.techniques import INGRESS_TOOL_TRANSFER, MALICIOUS_FILE
from infraspectre.soma.waiting import Waiting

PROGRAM = (
    r"(?i)dosexec|msdownload|portable-executable|x-executable|x-elf|x-sharedlib|mach-o|android\.dex|ms-shortcut|x-msi"
)
"""Content types, judged by the first bytes, of programs."""
SCRIPT = r"(?i)x-script|shellscript|powershell|x-sh$|x-python|x-perl"
"""Content types of scripts that a shell runs."""
HARMLESS_TYPE = (
    r"(?i)^(?:image|audio|video|font)/|^text/(?:html|css|plain|xml|javascript)|^application/(?:json|xml|javascript|pdf)"
)
"""Declared content types that never name a program."""
HARMLESS_NAME = r"(?i)\.(?:jpe?g|png|gif|ico|bmp|svg|webp|css|txt|html?|woff2?|mp[34]|pdf|docx?|xlsx?)(?:[?#]|$)"
"""Endings of names that never are a program's."""
BARE_ADDRESS = r"^(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-fA-F:.]+\])?(?::\d+)?$"
"""Host header that is an address or empty."""
HAND = r"(?i)^(?:$|mozilla/|opera/|curl/|wget/|python|go-http|powershell|certutil|winhttp|java/|okhttp)"
"""Programs with which people and scripts fetch files; an updater names itself after its product (RFC 9110, 10.1.5)."""
UNTOLD = "?"
"""What stands for a request's part where it is not told which response it belongs to."""
OPTIONAL: dict[str, pl.DataType] = {"resp_host_orig_hosts": pl.Float32(), "http_user_agents": pl.List(pl.String)}
"""Columns that are null where a source or an analysis does not tell them."""


class DownloadSettings(msgspec.Struct, frozen=True):
    """Sets the scores of suspicious downloads."""

    disguised_score: float = 0.75
    """Score of a program under a harmless type or name: honest servers do not do this."""
    bare_score: float = 0.6
    """Score of a program from a bare address outside: vendors have names."""
    inside_score: float = 0.45
    """Score of a program from a bare address inside: appliances and deployment servers do it too."""
    script_factor: float = 0.7
    """Factor for scripts: installers and devices fetch them in the clear."""
    plain_score: float = 0.3
    """Score of a program over clear HTTP from a named server: anyone on the way can turn it into harm."""
    updater_score: float = 0.2
    """The same fetched by a program of another name: updaters do so all day, and check what they got."""
    lone_score: float = 0.55
    """The same fetched by hand, from outside, from a server that no other host of the site calls: few vendors are
    unknown to all, and fewer still without encryption."""
    known_s: float = 3_600.0
    """Time for which the site was watched before a server is unknown: servers of a site are mostly called within it."""
    patience_s: float = 3_600.0
    """Time for which others may still call the server, as those do whose software comes from there, too."""
    capacity: int = 8_192
    """Cases kept."""


class Scope(NamedTuple):
    """Identifies who got what kind of file from where."""

    orig: str
    resp: str
    port: int
    kind: str


class FileCase(Case):
    """Counts files and keeps the highest score of one."""

    def __init__(self) -> None:
        """Start with no file."""
        super().__init__()
        self.files = 0
        self.score = 0.0
        self.by_hand = False


class FileDownload:
    """Finds programs and scripts from bare addresses, in disguise, in the clear, or from where nobody goes."""

    name = "file_download"
    columns = frozenset({"http_mime_types", "http_content_types", "http_hosts", "http_uris"})
    helpful = frozenset(OPTIONAL)

    def __init__(self, settings: DownloadSettings | None = None) -> None:
        """Start with no case."""
        self._settings = settings = settings or DownloadSettings()
        self._waiting: Waiting[Scope] = Waiting(settings.patience_s, settings.capacity)
        self._callers: BoundedTable[str, DistinctCounter] = BoundedTable(settings.capacity, few_hosts)
        self._began: int | None = None
        self._book: Casebook[Scope, FileCase] = Casebook(self.name, self._settings.capacity, FileCase, self._judge)

    def detect(self, frame: pl.DataFrame) -> list[Detection]:
        """Return downloads newly seen or grown tenfold."""
        due = self._waiting.turn(frame)
        self._began = self._began or int(frame["started_at"].min() or 0)  # type: ignore[arg-type]
        files = self._scored(_programs(completed(frame, OPTIONAL))).filter(pl.col("kind").is_not_null())
        rows = gathered_parts(
            files,
            ["orig_ip", "resp_ip", "resp_port", "kind"],
            score=pl.col("score").max(),
            callers=pl.col("callers").max(),
            by_hand=pl.col("by_hand").any(),
            names=pl.format("{}{} ({})", "host", "uri", "mime").unique(maintain_order=True).head(8),
        )
        touched = [self._absorb(row) for row in rows]
        self._note_callers(frame)
        return self._book.review(touched + due)

    def due(self) -> int | None:
        """Return when the first case that waits is judged."""
        return self._waiting.due()

    def turn(self, until: int) -> list[Detection]:
        """Return what waited long enough by a time up to which no flow came."""
        return self._book.review(self._waiting.turn_to(until))

    def finish(self) -> list[Detection]:
        """Return downloads that grew since their last report."""
        self._waiting.end()
        return self._book.close()

    def _note_callers(self, frame: pl.DataFrame) -> None:
        """Count who else calls the servers from which a program came."""
        if not len(self._callers):
            return
        calls = frame.filter(pl.col("resp_ip").is_in([server for server, _ in self._callers.items()]))
        for server, callers in (
            calls.group_by("resp_ip", maintain_order=True).agg(pl.col("orig_ip").unique().hash()).iter_rows()
        ):
            self._callers[server].update(callers)

    def _scored(self, files: pl.DataFrame) -> pl.DataFrame:
        settings = self._settings
        is_disguised = pl.col("declared").str.contains(HARMLESS_TYPE) | pl.col("uri").str.contains(HARMLESS_NAME)
        is_bare = pl.col("host").str.contains(BARE_ADDRESS)
        is_script = pl.col("mime").str.contains(SCRIPT)
        bare_score = pl.when("resp_inside").then(settings.inside_score).otherwise(settings.bare_score)
        kind = pl.when(is_disguised & ~is_script).then(pl.lit("disguised")).when(is_bare).then(pl.lit("bare"))
        score = pl.when(is_disguised & ~is_script).then(settings.disguised_score).when(is_bare).then(bare_score)
        plain = pl.when(~is_script).then(pl.lit("plain"))
        factor = pl.when(is_script).then(settings.script_factor).otherwise(1.0)
        is_named = ~pl.col("agent").str.contains(HAND) & (pl.col("agent") != UNTOLD)
        rest = pl.when(is_named).then(settings.updater_score).otherwise(settings.plain_score)
        return files.with_columns(kind=kind.otherwise(plain), score=score.otherwise(rest) * factor)

    def _absorb(self, row: Row) -> Scope:
        scope = Scope(row["orig_ip"], row["resp_ip"], row["resp_port"], row["kind"])
        case = self._book[scope]
        case.absorb(row)
        case.files += row["rows"]
        case.score = max(case.score, row["score"])
        if row["by_hand"] and row["callers"] is not None and row["callers"] <= 1:
            case.by_hand = True
            _ = self._callers[scope.resp]
        case.show(row["names"])
        return scope

    def _judge(self, scope: Scope, case: FileCase) -> Finding | None:
        how = {
            "disguised": "under a false type or name",
            "bare": "from a server without a name",
            "plain": "over HTTP in the clear",
        }[scope.kind]
        is_lone = self._is_lone(scope, case)
        return Finding(
            category="cleartext_executable" if scope.kind == "plain" and not is_lone else "suspicious_file_download",
            techniques=(INGRESS_TOOL_TRANSFER, MALICIOUS_FILE) if is_lone else (INGRESS_TOOL_TRANSFER,),
            score=max(case.score, self._settings.lone_score) if is_lone else case.score,
            orig=scope.orig,
            resp=scope.resp,
            summary=f"{scope.orig} got {plural(case.files, 'file')} with a program or script {how} from "
            f"{host_of(scope.resp, scope.port)}, such as {next(iter(case.examples), '')[:100]}"
            + ("; no other host of the site calls that server" if is_lone else ""),
            size=case.files,
            measures={"files": case.files},
            thresholds={"files": 1},
        )

    def _is_lone(self, scope: Scope, case: FileCase) -> bool:
        """Tell whether a program was fetched by hand from a server that, once the site is known, nobody else calls."""
        if not case.by_hand or case.first_seen - (self._began or 0) < self._settings.known_s * SECOND:
            return False
        callers = self._callers.get(scope.resp)
        return callers is not None and callers.count() <= 1 and self._waiting.is_over(scope, case.first_seen)


def _programs(frame: pl.DataFrame) -> pl.DataFrame:
    """Return one row per response that is a program or script, with its request where both lists are whole."""
    count = pl.col("http_mime_types").list.len()
    lists = {"declared": "http_content_types", "host": "http_hosts", "uri": "http_uris", "agent": "http_user_agents"}
    same = {
        name: pl.when(pl.col(column).list.len() == count).then(column).otherwise(_blank(count))
        for name, column in lists.items()
    }
    has_none = pl.col("http_user_agents").list.len().fill_null(0) == 0
    same["agent"] = pl.when(has_none).then(pl.lit("").repeat_by(count)).otherwise(same["agent"])
    files = frame.filter(count > 0).select(
        *IDENTITY, "resp_inside", mime="http_mime_types", callers="resp_host_orig_hosts", **same
    )
    rows = files.explode("mime", *lists).with_columns(pl.col(*lists).fill_null(""))
    is_by_hand = ~pl.col("resp_inside") & pl.col("agent").str.contains(HAND) & pl.col("mime").str.contains(PROGRAM)
    rows = rows.with_columns(by_hand=is_by_hand)
    return rows.filter(pl.col("mime").str.contains(f"{PROGRAM}|{SCRIPT}"))


def _blank(count: pl.Expr) -> pl.Expr:
    return pl.lit(UNTOLD).repeat_by(count)
