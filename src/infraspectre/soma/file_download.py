"""Suspicious downloads: programs fetched from bare addresses, or sent under a false name."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import polars as pl

from infraspectre.records import Detection
from infraspectre.records.words import plural
from infraspectre.soma.detector import IDENTITY, Case, Casebook, Finding, Row, gathered_parts, host_of
from infraspectre.soma.techniques import INGRESS_TOOL_TRANSFER

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


class FileDownload:
    """Finds programs and scripts that came from bare addresses, in disguise, or in the clear."""

    name = "file_download"
    columns = frozenset({"http_mime_types", "http_content_types", "http_hosts", "http_uris"})
    helpful = frozenset[str]()

    def __init__(self, settings: DownloadSettings | None = None) -> None:
        """Start with no case."""
        self._settings = settings or DownloadSettings()
        self._book: Casebook[Scope, FileCase] = Casebook(self.name, self._settings.capacity, FileCase, self._judge)

    def detect(self, frame: pl.DataFrame) -> list[Detection]:
        """Return downloads newly seen or grown tenfold."""
        files = self._scored(_programs(frame)).filter(pl.col("kind").is_not_null())
        rows = gathered_parts(
            files,
            ["orig_ip", "resp_ip", "resp_port", "kind"],
            score=pl.col("score").max(),
            names=pl.format("{}{} ({})", "host", "uri", "mime").unique(maintain_order=True).head(8),
        )
        return self._book.review([self._absorb(row) for row in rows])

    def finish(self) -> list[Detection]:
        """Return downloads that grew since their last report."""
        return self._book.close()

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
        return files.with_columns(kind=kind.otherwise(plain), score=score.otherwise(settings.plain_score) * factor)

    def _absorb(self, row: Row) -> Scope:
        scope = Scope(row["orig_ip"], row["resp_ip"], row["resp_port"], row["kind"])
        case = self._book[scope]
        case.absorb(row)
        case.files += row["rows"]
        case.score = max(case.score, row["score"])
        case.show(row["names"])
        return scope

    def _judge(self, scope: Scope, case: FileCase) -> Finding | None:
        how = {
            "disguised": "under a false type or name",
            "bare": "from a server without a name",
            "plain": "over HTTP in the clear",
        }[scope.kind]
        return Finding(
            category="cleartext_executable" if scope.kind == "plain" else "suspicious_file_download",
            techniques=(INGRESS_TOOL_TRANSFER,),
            score=case.score,
            orig=scope.orig,
            resp=scope.resp,
            summary=f"{scope.orig} got {plural(case.files, 'file')} with a program or script {how} from "
            f"{host_of(scope.resp, scope.port)}, such as {next(iter(case.examples), '')[:100]}",
            size=case.files,
            measures={"files": case.files},
            thresholds={"files": 1},
        )


def _programs(frame: pl.DataFrame) -> pl.DataFrame:
    """Return one row per response that is a program or script, with its request where both lists are whole."""
    count = pl.col("http_mime_types").list.len()
    lists = {"declared": "http_content_types", "host": "http_hosts", "uri": "http_uris"}
    same = {
        name: pl.when(pl.col(column).list.len() == count).then(column).otherwise(_blank(count))
        for name, column in lists.items()
    }
    files = frame.filter(count > 0).select(*IDENTITY, "resp_inside", mime="http_mime_types", **same)
    rows = files.explode("mime", *lists).with_columns(pl.col(*lists).fill_null(""))
    return rows.filter(pl.col("mime").str.contains(f"{PROGRAM}|{SCRIPT}"))


def _blank(count: pl.Expr) -> pl.Expr:
    return pl.lit("?").repeat_by(count)
