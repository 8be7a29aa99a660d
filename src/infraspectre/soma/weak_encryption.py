"""Weak or odd encryption: outdated TLS, and certificates that nobody vouches for at addresses without a name."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import polars as pl

from infraspectre.records import Detection
from infraspectre.records.words import plural
from infraspectre.soma.detector import Case, Casebook, Finding, Row, gathered, host_of
from infraspectre.soma.techniques import ASYMMETRIC_CRYPTOGRAPHY

OUTDATED = ("SSLv2", "SSLv3", "TLSv1", "TLSv1.0", "TLSv1.1")
"""Versions that must not be used any more (RFC 6176, RFC 7568, RFC 8996)."""

REMOTE_DESKTOP_PORT = 3_389
"""Port of a service whose certificates are self-signed by default (MS-RDPBCGR)."""


class WeakEncryptionSettings(msgspec.Struct, frozen=True):
    """Sets the scores of weak encryption; all low, for each is evidence only beside something else."""

    outdated_score: float = 0.2
    """Score of an outdated version: old devices speak nothing else."""
    self_signed_score: float = 0.35
    """Score of a self-signed certificate at an outside address asked for without a name: usual for private channels."""
    capacity: int = 8_192
    """Cases kept."""


class Scope(NamedTuple):
    """Identifies who speaks weakly to whom."""

    orig: str
    resp: str
    port: int
    kind: str


class WeakEncryption:
    """Finds outdated TLS versions and self-signed certificates at bare outside addresses."""

    name = "weak_encryption"
    columns = frozenset({"tls_version", "tls_server_name", "tls_certificate_subjects", "tls_certificate_issuers"})
    helpful = frozenset[str]()

    def __init__(self, settings: WeakEncryptionSettings | None = None) -> None:
        """Start with no case."""
        self._settings = settings or WeakEncryptionSettings()
        self._book: Casebook[Scope, Case] = Casebook(self.name, self._settings.capacity, Case, self._judge)

    def detect(self, frame: pl.DataFrame) -> list[Detection]:
        """Return weak encryption newly seen or grown tenfold."""
        leaf, issuer = (pl.col(f"tls_certificate_{name}").list.first() for name in ("subjects", "issuers"))
        is_desktop = pl.col("resp_port") == REMOTE_DESKTOP_PORT
        is_nameless = pl.col("tls_server_name").is_null() & ~pl.col("resp_inside") & ~is_desktop
        is_outdated = pl.col("tls_version").is_in(OUTDATED)
        outdated = self._gather(frame.filter(is_outdated), "outdated", pl.col("tls_version"))
        self_signed = self._gather(frame.filter(is_nameless & (leaf == issuer)), "self_signed", leaf)
        return self._book.review(outdated + self_signed)

    def finish(self) -> list[Detection]:
        """Return what grew since its last report."""
        return self._book.close()

    def _gather(self, flows: pl.DataFrame, kind: str, example: pl.Expr) -> list[Scope]:
        rows = gathered(
            flows, ["orig_ip", "resp_ip", "resp_port"], examples=example.unique(maintain_order=True).head(8)
        )
        return [self._absorb(row, kind) for row in rows]

    def _absorb(self, row: Row, kind: str) -> Scope:
        scope = Scope(row["orig_ip"], row["resp_ip"], row["resp_port"], kind)
        case = self._book[scope]
        case.absorb(row)
        case.show(row["examples"])
        return scope

    def _judge(self, scope: Scope, case: Case) -> Finding | None:
        is_outdated, settings = scope.kind == "outdated", self._settings
        target, example = host_of(scope.resp, scope.port), next(iter(case.examples), "")
        said = f"spoke outdated {example} with {target}"
        if not is_outdated:
            said = f"accepted the self-signed certificate {example} of {target}, asked for without a name,"
        return Finding(
            category="outdated_tls" if is_outdated else "self_signed_certificate",
            techniques=() if is_outdated else (ASYMMETRIC_CRYPTOGRAPHY,),
            score=settings.outdated_score if is_outdated else settings.self_signed_score,
            orig=scope.orig,
            resp=scope.resp,
            summary=f"{scope.orig} {said} in {plural(case.flows, 'flow')}",
            size=case.flows,
            measures={},
            thresholds={"flows": 1},
        )
