"""Password guessing: many failed logins, read from protocol fields or from the shape of encrypted sessions."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import polars as pl

from infraspectre.ml.bounded import DistinctCounter, text_hashes
from infraspectre.ml.robust import log_ramp
from infraspectre.records import Detection
from infraspectre.records.words import plural
from infraspectre.soma.detector import Case, Casebook, Finding, Row, gathered, host_of, in_seconds
from infraspectre.soma.techniques import PASSWORD_GUESSING, PASSWORD_SPRAYING


class BruteForceSettings(msgspec.Struct, frozen=True):
    """Sets the thresholds of password guessing."""

    failures: int = 10
    """Failed logins told by the protocol: people give up or are locked out after three to five."""
    refused_requests: int = 40
    """HTTP 401 answers: one is part of each ordinary NTLM or Digest login, so many more are asked for."""
    refused_share: float = 0.7
    """Share of HTTP answers that are 401: a logged-in client gets mostly others."""
    form_posts: int = 40
    """Posts to a login form: a person sends a few."""
    short_sessions: int = 6
    """Encrypted sessions too short for work: scripts make some, guessing makes many in a row."""
    sessions_per_minute: float = 3.0
    """Pace of such sessions: monitoring and scheduled jobs are slower."""
    session_bytes: int = 8_000
    """Most payload bytes of one side of a session that ends at the login: keys and a few refusals (RFC 4253)."""
    session_ms: float = 60_000.0
    """Longest such session: servers cut a login off after one or two minutes."""
    spray_users: int = 10
    """Different accounts that one host fails to enter: nobody owns so many."""
    spray_failures_per_user: float = 3.0
    """Failures per account up to which it is spraying rather than guessing: below usual lockout limits."""
    full_scale: int = 50
    """Multiple of the threshold at which the score is full."""
    capacity: int = 8_192
    """Cases kept."""


SHAPED_PORTS = {22: "ssh", 23: "telnet", 3389: "rdp", 5900: "vnc"}
"""Login services judged by the shape of their sessions (IANA port numbers)."""
LOGIN_PATH = r"(?i)(?:log-?in|log-?on|sign-?in|wp-login|xmlrpc|/auth|/session)"
FLOORS = {"told": 0.7, "refused": 0.55, "posted": 0.5, "shaped": 0.35}
"""Score at the threshold, by how sure one attempt is a failed login."""
KERBEROS_REFUSALS = (6, 18, 24)
"""KDC_ERR_C_PRINCIPAL_UNKNOWN, KDC_ERR_CLIENT_REVOKED, KDC_ERR_PREAUTH_FAILED (RFC 4120, section 7.5.9)."""
TOLD = {
    "ftp": pl.col("ftp_login_failures"),
    "smb": pl.col("smb_auth_failures"),
    "smtp": pl.col("smtp_login_failures"),
    "kerberos": pl.sum_horizontal(pl.col("kerberos_errors").list.count_matches(code) for code in KERBEROS_REFUSALS),
}
"""Failed logins of a flow as its protocol tells them."""
USERS = {
    "ftp": pl.concat_list("ftp_user"),
    "smb": pl.col("smb_users"),
    "smtp": pl.lit(None, pl.List(pl.String)),
    "kerberos": pl.col("kerberos_clients"),
}
"""Accounts tried in a flow."""


class Scope(NamedTuple):
    """Identifies guessing at one service, or spraying over many (no resp)."""

    orig: str
    resp: str | None
    port: int | None
    service: str
    kind: str


class LoginCase(Case):
    """Counts attempts, all answers they are a part of, accounts and targets."""

    def __init__(self) -> None:
        """Start with no attempt."""
        super().__init__()
        self.attempts = 0
        self.answers = 0
        self.users = DistinctCounter()
        self.targets = DistinctCounter(256)


class BruteForce:
    """Finds password guessing and password spraying."""

    name = "brute_force"
    columns = frozenset(
        [
            "app_protocol",
            "tcp_state",
            "duration_ms",
            "orig_payload_bytes",
            "resp_payload_bytes",
            "ftp_login_failures",
            "smb_auth_failures",
            "smtp_login_failures",
            "kerberos_errors",
            "ftp_user",
            "smb_users",
            "kerberos_clients",
            "http_statuses",
            "http_methods",
            "http_uris",
        ]
    )
    helpful = frozenset[str]()

    def __init__(self, settings: BruteForceSettings | None = None) -> None:
        """Start with no case."""
        self._settings = settings or BruteForceSettings()
        self._book: Casebook[Scope, LoginCase] = Casebook(self.name, self._settings.capacity, LoginCase, self._judge)

    def detect(self, frame: pl.DataFrame) -> list[Detection]:
        """Return guessing that passed its thresholds or grew tenfold."""
        touched = [scope for service in TOLD for scope in self._told(frame, service)]
        touched += self._refused(frame) + self._posted(frame) + self._shaped(frame)
        return self._book.review(touched)

    def finish(self) -> list[Detection]:
        """Return guessing that grew since its last report."""
        return self._book.close()

    def _told(self, frame: pl.DataFrame, service: str) -> list[Scope]:
        failed = frame.with_columns(attempts=TOLD[service].fill_null(0), users=USERS[service]).filter(
            pl.col("attempts") > 0
        )
        users = pl.col("users").list.explode(keep_nulls=False, empty_as_null=False).drop_nulls()
        measures = {"users": users.unique(maintain_order=True)}
        return [
            scope
            for row in self._rows(failed, **measures)
            for scope in (
                self._absorb(Scope(row["orig_ip"], row["resp_ip"], row["resp_port"], service, "told"), row),
                self._absorb(Scope(row["orig_ip"], None, None, service, "spray"), row),
            )
        ]

    def _refused(self, frame: pl.DataFrame) -> list[Scope]:
        web = frame.filter(pl.col("http_statuses").list.len() > 0)
        rows = self._rows(web.with_columns(attempts=pl.col("http_statuses").list.count_matches(401)), **_ANSWERS)
        return [self._service(row, "http", "refused") for row in rows if row["attempts"]]

    def _posted(self, frame: pl.DataFrame) -> list[Scope]:
        web = frame.filter(pl.col("http_methods").list.contains("POST"))
        form = pl.col("http_uris").list.eval(pl.element().filter(pl.element().str.contains(LOGIN_PATH))).list.len()
        posts = web.with_columns(attempts=pl.min_horizontal(form, pl.col("http_methods").list.count_matches("POST")))
        rows = self._rows(posts.filter(pl.col("attempts") > 0))
        return [self._service(row, "http", "posted") for row in rows]

    def _shaped(self, frame: pl.DataFrame) -> list[Scope]:
        rows = self._rows(frame.filter(self._is_short_session()).with_columns(attempts=pl.lit(1)))
        return [self._service(row, SHAPED_PORTS.get(row["resp_port"], "ssh"), "shaped") for row in rows]

    def _is_short_session(self) -> pl.Expr:
        limit = self._settings.session_bytes
        is_login = pl.col("resp_port").is_in(list(SHAPED_PORTS)) | pl.col("app_protocol").is_in(["ssh", "rdp"])
        is_answered = pl.col("orig_payload_bytes").is_between(1, limit) & pl.col("resp_payload_bytes").is_between(
            1, limit
        )
        is_closed = pl.col("tcp_state").is_in(["SF", "RSTO", "RSTR", "S2", "S3"])
        return is_login & is_answered & is_closed & (pl.col("duration_ms") <= self._settings.session_ms)

    def _rows(self, flows: pl.DataFrame, **measures: pl.Expr) -> list[Row]:
        keys = ["orig_ip", "resp_ip", "resp_port"]
        return list(gathered(flows, keys, attempts=pl.col("attempts").sum(), **measures))

    def _service(self, row: Row, service: str, kind: str) -> Scope:
        return self._absorb(Scope(row["orig_ip"], row["resp_ip"], row["resp_port"], service, kind), row)

    def _absorb(self, scope: Scope, row: Row) -> Scope:
        case = self._book[scope]
        case.absorb(row)
        case.attempts += row["attempts"]
        case.answers += row.get("answers", 0)
        users = row.get("users", [])
        case.users.update(text_hashes(users))
        case.targets.update(text_hashes([row["resp_ip"]]))
        case.show(users)
        return scope

    def _judge(self, scope: Scope, case: LoginCase) -> Finding | None:
        return self._spray(scope, case) if scope.kind == "spray" else self._guessing(scope, case)

    def _guessing(self, scope: Scope, case: LoginCase) -> Finding | None:
        least = self._least(scope.kind)
        if case.attempts < least or not self._is_dense(scope.kind, case):
            return None
        floor = FLOORS[scope.kind]
        service = scope.service.upper()
        what = {
            "shaped": f"{service} logins that look refused",
            "posted": f"{service} posts to a login form",
        }.get(scope.kind, f"failed {service} logins")
        target = host_of(scope.resp or "", scope.port or 0)
        return Finding(
            category=f"{scope.service}_brute_force",
            techniques=(PASSWORD_GUESSING,),
            score=floor + (0.95 - floor) * log_ramp(case.attempts, least, least * self._settings.full_scale),
            orig=scope.orig,
            resp=scope.resp,
            summary=f"{scope.orig} made {case.attempts:,} {what} at {target} in {in_seconds(case.duration_s)}",
            size=case.attempts,
            measures={"attempts": case.attempts, "accounts": case.users.count(), "duration_s": case.duration_s},
            thresholds={"attempts": least},
        )

    def _least(self, kind: str) -> int:
        settings = self._settings
        return {
            "refused": settings.refused_requests,
            "posted": settings.form_posts,
            "shaped": settings.short_sessions,
        }.get(kind, settings.failures)

    def _is_dense(self, kind: str, case: LoginCase) -> bool:
        if kind == "refused":
            return case.attempts >= self._settings.refused_share * case.answers
        return kind != "shaped" or case.attempts * 60.0 >= self._settings.sessions_per_minute * case.duration_s

    def _spray(self, scope: Scope, case: LoginCase) -> Finding | None:
        users, settings = case.users.count(), self._settings
        if users < settings.spray_users or case.attempts > settings.spray_failures_per_user * users:
            return None
        targets = case.targets.count()
        return Finding(
            category="password_spray",
            techniques=(PASSWORD_SPRAYING,),
            score=0.75 + 0.2 * log_ramp(users, settings.spray_users, settings.spray_users * settings.full_scale),
            orig=scope.orig,
            resp=None,
            summary=f"{scope.orig} failed to log in to {users:,} different {scope.service.upper()} accounts "
            f"on {plural(targets, 'host')} with {case.attempts:,} attempts in {in_seconds(case.duration_s)}",
            size=users,
            measures={"accounts": users, "attempts": case.attempts, "targets": targets, "duration_s": case.duration_s},
            thresholds={"accounts": settings.spray_users, "attempts_per_account": settings.spray_failures_per_user},
        )


_ANSWERS = {"answers": pl.col("http_statuses").list.len().sum()}
