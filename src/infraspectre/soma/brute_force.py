"""Password guessing: many failed logins, read from protocol fields or from the shape of encrypted sessions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec
import polars as pl

from infraspectre.ml.bounded import DistinctCounter, text_hashes
from infraspectre.ml.robust import log_ramp
from infraspectre.records import Detection, Technique
from infraspectre.records.words import plural
from infraspectre.soma.attempts import MEASURES, Attempts
from infraspectre.soma.detector import SECOND, Case, Casebook, Finding, Row, gathered, host_of, in_seconds
from infraspectre.soma.techniques import PASSWORD_GUESSING, PASSWORD_SPRAYING
from infraspectre.soma.waiting import Waiting

BUCKET_S = 600
"""Length of the buckets in which attempts are counted: who guesses slowly still makes some in ten minutes."""
BUCKETS_KEPT = 4
"""Latest buckets of a case that can still grow; flows end at most a few buckets out of order."""


class Door(NamedTuple):
    """Describes a login service judged by the shape of its sessions."""

    service: str
    least: int
    """Short sessions in ten minutes that are guessing: monitors make ten, mail programs twenty, web pages fifty."""
    variation: float
    """Most by which their sizes vary, for a refusal is as long as another; standard deviation over mean."""
    sent: int = 1
    """Least payload bytes of the client, so that it came as far as to log in."""


_LOGIN, _MAIL, _WEB, _DIRECTORY = (15, 0.25), (30, 0.1), (60, 0.1), (60, 0.1)
DOORS = {
    22: Door("ssh", *_LOGIN, 400),
    23: Door("telnet", *_LOGIN),
    3_389: Door("rdp", *_LOGIN),
    5_900: Door("vnc", *_LOGIN),
    5_986: Door("winrm", *_LOGIN, 400),
    990: Door("ftps", *_LOGIN, 300),
    110: Door("pop3", *_MAIL),
    143: Door("imap", *_MAIL),
    465: Door("smtps", *_MAIL, 300),
    587: Door("smtp", *_MAIL),
    993: Door("imaps", *_MAIL, 300),
    995: Door("pop3s", *_MAIL, 300),
    389: Door("ldap", *_DIRECTORY),
    636: Door("ldaps", *_DIRECTORY, 300),
    443: Door("https", *_WEB, 300),
    8_443: Door("https", *_WEB, 300),
}
"""Login services by port (IANA port numbers); key exchange and handshake take some hundred bytes (RFC 4253, 8446)."""
REFUSAL = 2.0
"""A session over so many times the usual size is no further refusal: it got in, and must not make the others uneven."""
MACHINES = ("https", "ldap", "ldaps")
"""Services that machines call all day in equal sessions; guessing is where they are called irregularly or at speed."""


class BruteForceSettings(msgspec.Struct, frozen=True):
    """Sets the thresholds of password guessing."""

    failures: int = 10
    """Failed logins told by the protocol in ten minutes: people give up or are locked out after three to five."""
    refused_requests: int = 20
    """HTTP 401 answers in ten minutes: one is part of each ordinary NTLM or Digest login."""
    refused_share: float = 0.7
    """Share of HTTP answers that are 401: a logged-in client gets mostly others."""
    form_posts: int = 25
    """Posts to a login form in ten minutes: a person sends a few."""
    short_sessions: int = 6
    """Encrypted sessions too short for work that are worth a word: scripts make some, guessing makes many in a row."""
    slow_attempts: int = 20
    """Attempts over hours: guessing below any rate goes on, people give up."""
    slow_accounts: int = 3
    """Accounts among slow attempts: a job tries one again and again."""
    regular: float = 0.1
    """Variation of the gaps between attempts up to which a machine keeps time: jobs with a wrong password do so."""
    job_gap_s: float = 15.0
    """Mean gap below which it is no job that keeps time: schedules, and services that start again, wait longer."""
    health_gap_s: float = 3.0
    """The same for checks of web servers, which come every few seconds."""
    session_bytes: int = 8_000
    """Most payload bytes of one side of a session that ends at the login: keys and a few refusals (RFC 4253)."""
    page_bytes: int = 40_000
    """The same for a web page with a form."""
    session_ms: float = 60_000.0
    """Longest such session: servers cut a login off after one or two minutes."""
    spray_users: int = 10
    """Different accounts that one host fails to enter: nobody owns so many."""
    spray_failures_per_user: float = 10.0
    """Failures per account up to which it is spraying rather than guessing: lockout takes three to ten."""
    spray_failed_share: float = 0.5
    """Share of failures among logins of one host: a terminal server logs many people in, mostly with success."""
    spray_targets: int = 8
    """Hosts at whose doors one host stays for a short session: users work with a few servers."""
    spray_tries_per_target: float = 3.0
    """Short sessions for each of them: monitors come again and again."""
    spray_patience_s: float = 3_600.0
    """How long that is watched before it is said of an inside host."""
    spray_inside_score: float = 0.35
    """Most for an inside host, for programs that manage servers hold such sessions, too."""
    full_scale: int = 50
    """Multiple of the threshold at which the score is full."""
    capacity: int = 8_192
    """Cases kept."""


LOGIN_PATH = r"(?i)(?:log-?in|log-?on|sign-?in|wp-login|xmlrpc|/auth|/session)"
FLOORS = {"told": 0.7, "refused": 0.55, "posted": 0.5, "shaped": 0.42}
"""Score at the threshold, by how sure one attempt is a failed login."""
SLOW_FLOOR, JOB_SCORE = 0.5, 0.4
"""Score of slow guessing at its threshold, and of what may be a job with a wrong password."""
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
ENTERED = {
    "ftp": pl.col("ftp_user").is_not_null(),
    "smb": pl.col("smb_users").list.len() > 0,
    "smtp": pl.lit(value=False),
    "kerberos": pl.col("kerberos_clients").is_not_null() & (pl.col("kerberos_errors").list.len().fill_null(0) == 0),
}
"""Whether a flow without a failed login shows a right one."""


class Scope(NamedTuple):
    """Identifies guessing at one service, or spraying over many accounts or targets (no resp)."""

    orig: str
    resp: str | None
    port: int | None
    service: str
    kind: str


class LoginCase(Case):
    """Counts attempts, in all and in the latest spans, with their accounts and targets, and logins that succeeded."""

    def __init__(self) -> None:
        """Start with no attempt."""
        super().__init__()
        self.whole = Attempts()
        self.buckets: dict[int, Attempts] = {}
        self.peak = 0
        self.has_burst = False
        self.entered = 0
        self.is_orig_inside = True
        self.users = DistinctCounter()
        self.targets = DistinctCounter(256)

    def add(self, row: Row) -> Attempts:
        """Add a group of flows of one span and return all attempts of that span so far."""
        self.absorb(row)
        self.whole.add(row)
        span = self.buckets.setdefault(row["bucket"], Attempts())
        span.add(row)
        while len(self.buckets) > BUCKETS_KEPT:
            del self.buckets[min(self.buckets)]
        self.is_orig_inside = row["orig_inside"]
        return span

    def bound(self, row: Row, is_burst: bool, last_seen: int) -> None:
        """Let the case last from its first burst to its last: what lies around is an ordinary day's."""
        if is_burst and not self.has_burst:
            self.has_burst = True
            self.first_seen = max(self.first_seen, row["bucket"] * BUCKET_S * SECOND)
            self.flow_ids, self.packets = row["flow_ids"], row["packets"]
        elif self.has_burst and not is_burst:
            self.last_seen = last_seen


class BruteForce:
    """Finds password guessing and password spraying, fast, and slow over hours."""

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
        self._settings = settings = settings or BruteForceSettings()
        self._waiting: Waiting[Scope] = Waiting(settings.spray_patience_s, settings.capacity)
        self._book: Casebook[Scope, LoginCase] = Casebook(self.name, settings.capacity, LoginCase, self._judge)

    def detect(self, frame: pl.DataFrame) -> list[Detection]:
        """Return guessing that passed its thresholds or grew tenfold."""
        due = self._waiting.turn(frame)
        flows = frame.with_columns(bucket=pl.col("started_at") // (BUCKET_S * SECOND))
        touched = [scope for service in TOLD for scope in self._told(flows, service)]
        touched += self._refused(flows) + self._posted(flows) + self._shaped(flows)
        return self._book.review(touched + due)

    def due(self) -> int | None:
        """Return when the first case that waits is judged."""
        return self._waiting.due()

    def turn(self, until: int) -> list[Detection]:
        """Return what waited long enough by a time up to which no flow came."""
        return self._book.review(self._waiting.turn_to(until))

    def finish(self) -> list[Detection]:
        """Return guessing that grew since its last report."""
        self._waiting.end()
        return self._book.close()

    def _told(self, frame: pl.DataFrame, service: str) -> list[Scope]:
        is_login = (TOLD[service] > 0) | ENTERED[service]
        said = frame.filter(is_login).with_columns(attempts=TOLD[service].fill_null(0), users=USERS[service])
        if said.is_empty():
            return []
        users = pl.col("users").list.explode(keep_nulls=False, empty_as_null=False).drop_nulls()
        scopes = [
            scope
            for row in self._rows(said.filter(pl.col("attempts") > 0), users=users.unique(maintain_order=True))
            for scope in (
                self._absorb(Scope(row["orig_ip"], row["resp_ip"], row["resp_port"], service, "told"), row),
                self._absorb(Scope(row["orig_ip"], None, None, service, "spray"), row),
            )
        ]
        self._count_entered(said, service)
        return scopes

    def _count_entered(self, said: pl.DataFrame, service: str) -> None:
        """Count the logins that succeeded of hosts that also failed."""
        is_told = pl.col("users").list.len().fill_null(0) > 0
        entered = said.filter((pl.col("attempts") == 0) & is_told & ENTERED[service])
        for orig, resp, port, count in _counted(entered):
            self._note_entered(Scope(orig, None, None, service, "spray"), count)
            self._note_entered(Scope(orig, resp, port, service, "told"), count)

    def _note_entered(self, scope: Scope, count: int) -> None:
        case = self._book.cases.get(scope)
        if case is not None:
            case.entered += count

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
        is_login = pl.col("resp_port").is_in(list(DOORS)) | pl.col("app_protocol").is_in(["ssh", "rdp"])
        logins = frame.filter(is_login & (pl.col("orig_payload_bytes") > 0))
        short = logins.filter(self._is_short_session())
        size = pl.col("orig_payload_bytes") + pl.col("resp_payload_bytes")
        is_refusal = size <= REFUSAL * size.median().over("orig_ip", "resp_ip", "resp_port")
        rows = self._rows(short.filter(is_refusal).with_columns(attempts=pl.lit(1)))
        scopes = [
            scope
            for row in rows
            for service in [_door(row["resp_port"]).service]
            for scope in (
                self._service(row, service, "shaped"),
                *(() if service in MACHINES else (self._absorb(_targets(row, service), row),)),
            )
        ]
        is_long = pl.max_horizontal("orig_payload_bytes", "resp_payload_bytes") > self._settings.session_bytes
        for orig, resp, port, count in _counted(pl.concat([logins.filter(is_long), short.filter(~is_refusal)])):
            self._note_entered(Scope(orig, resp, port, _door(port).service, "shaped"), count)
        return scopes

    def _is_short_session(self) -> pl.Expr:
        settings, port = self._settings, pl.col("resp_port")
        is_page = port.is_in([number for number, door in DOORS.items() if door.service in MACHINES])
        most = pl.when(is_page).then(settings.page_bytes).otherwise(settings.session_bytes)
        least = port.replace_strict({number: door.sent for number, door in DOORS.items()}, default=1)
        is_answered = pl.col("orig_payload_bytes").is_between(least, most) & pl.col("resp_payload_bytes").is_between(
            1, most
        )
        is_closed = pl.col("tcp_state").is_in(["SF", "RSTO", "RSTR", "S2", "S3"])
        is_ours = ~is_page | (pl.col("resp_inside") & pl.col("http_statuses").list.len().fill_null(0).eq(0))
        return is_answered & is_closed & is_ours & (pl.col("duration_ms") <= settings.session_ms)

    def _rows(self, flows: pl.DataFrame, **measures: pl.Expr) -> list[Row]:
        keys = ["orig_ip", "resp_ip", "resp_port", "bucket"]
        return list(gathered(flows, keys, orig_inside=pl.col("orig_inside").first(), **MEASURES, **measures))

    def _service(self, row: Row, service: str, kind: str) -> Scope:
        return self._absorb(Scope(row["orig_ip"], row["resp_ip"], row["resp_port"], service, kind), row)

    def _absorb(self, scope: Scope, row: Row) -> Scope:
        case = self._book.opened(scope, row)
        last_seen = case.last_seen
        span = case.add(row)
        is_like = self._is_like_guessing(scope, span)
        case.peak = max(case.peak, span.count) if is_like else case.peak
        if scope.resp is not None:
            case.bound(row, is_like and span.count >= self._least(scope), last_seen)
        users = row.get("users", [])
        case.users.update(text_hashes(users))
        case.targets.update(text_hashes([row["resp_ip"]]))
        case.show(users)
        return scope

    def _is_like_guessing(self, scope: Scope, span: Attempts) -> bool:
        """Tell whether the attempts of a span are of one kind: mostly refused, or of one size."""
        if scope.kind == "refused":
            return span.count >= self._settings.refused_share * span.answers
        if scope.kind != "shaped":
            return True
        is_machine = scope.service in MACHINES and self._keeps_time(span, self._settings.health_gap_s)
        return span.size_variation <= _door(scope.port).variation and not is_machine

    def _keeps_time(self, attempts: Attempts, least_gap_s: float) -> bool:
        """Tell whether attempts follow a clock with gaps of some length, as those of jobs do."""
        is_hasty = attempts.gaps.total < least_gap_s * attempts.gaps.count
        return attempts.flows > 5 and not is_hasty and attempts.gaps.variation <= self._settings.regular

    def _judge(self, scope: Scope, case: LoginCase) -> Finding | None:
        if scope.resp is not None:
            return self._guessing(scope, case)
        return self._spray(scope, case) if scope.kind == "spray" else self._knocking(scope, case)

    def _guessing(self, scope: Scope, case: LoginCase) -> Finding | None:
        least, score = self._least(scope), self._score(scope, case)
        if score is None:
            return None
        service, attempts = scope.service.upper(), case.whole.count
        what = {
            "shaped": f"{service} logins that look refused",
            "posted": f"{service} posts to a login form",
        }.get(scope.kind, f"failed {service} logins")
        target = host_of(scope.resp or "", scope.port or 0)
        success = f"; {plural(case.entered, 'login')} beside them went through" if case.entered else ""
        return Finding(
            category=f"{scope.service}_brute_force",
            techniques=self._techniques(scope, case),
            score=score,
            orig=scope.orig,
            resp=scope.resp,
            summary=f"{scope.orig} made {attempts:,} {what} at {target} in {in_seconds(case.duration_s)}{success}",
            size=attempts,
            measures={
                "attempts": attempts,
                "attempts_in_600_s": case.peak,
                "accounts": case.users.count(),
                "logins": case.entered,
                "duration_s": case.duration_s,
            },
            thresholds={"attempts_in_600_s": least},
        )

    def _least(self, scope: Scope) -> int:
        settings = self._settings
        return {
            "refused": settings.refused_requests,
            "posted": settings.form_posts,
            "shaped": settings.short_sessions if _door(scope.port).least <= _LOGIN[0] else _door(scope.port).least,
        }.get(scope.kind, settings.failures)

    def _score(self, scope: Scope, case: LoginCase) -> float | None:
        """Score guessing by its fastest span, or by all of it where it is slow; jobs that keep time score low."""
        scores = [*self._fast_score(scope, case), *self._slow_score(scope, case)]
        return min(max(scores), JOB_SCORE if self._is_job(scope, case) else 1.0) if scores else None

    def _fast_score(self, scope: Scope, case: LoginCase) -> Iterator[float]:
        least, floor = self._least(scope), FLOORS[scope.kind]
        if case.peak >= least:
            yield floor + (0.95 - floor) * log_ramp(case.peak, least, least * self._settings.full_scale)

    def _slow_score(self, scope: Scope, case: LoginCase) -> Iterator[float]:
        least = self._settings.slow_attempts
        if self._is_slow_guessing(scope, case):
            yield SLOW_FLOOR + 0.3 * log_ramp(case.whole.count, least, least * self._settings.full_scale)

    def _is_slow_guessing(self, scope: Scope, case: LoginCase) -> bool:
        if case.whole.count < self._settings.slow_attempts:
            return False
        if scope.kind == "refused":
            return case.whole.count >= self._settings.refused_share * case.whole.answers
        is_even = case.whole.size_variation <= _door(scope.port).variation
        return scope.kind == "told" or (scope.kind == "shaped" and not case.is_orig_inside and is_even)

    def _is_job(self, scope: Scope, case: LoginCase) -> bool:
        """Tell whether attempts may be those of a job with a wrong password: one account, by the clock."""
        is_one = case.users.count() < self._settings.slow_accounts
        return is_one and self._keeps_time(case.whole, self._settings.job_gap_s)

    def _techniques(self, scope: Scope, case: LoginCase) -> tuple[Technique, ...]:
        """Name guessing, and spraying too where there are many accounts or nobody can tell them."""
        is_open = scope.kind in ("shaped", "posted", "refused") or scope.service == "smtp"
        is_spray = is_open or case.users.count() >= self._settings.spray_users
        return (PASSWORD_GUESSING, PASSWORD_SPRAYING) if is_spray else (PASSWORD_GUESSING,)

    def _spray(self, scope: Scope, case: LoginCase) -> Finding | None:
        users, attempts, settings = case.users.count(), case.whole.count, self._settings
        if users < settings.spray_users or attempts > settings.spray_failures_per_user * users:
            return None
        if attempts < settings.spray_failed_share * (attempts + case.entered):
            return None
        targets = case.targets.count()
        return Finding(
            category="password_spray",
            techniques=(PASSWORD_SPRAYING,),
            score=0.75 + 0.2 * log_ramp(users, settings.spray_users, settings.spray_users * settings.full_scale),
            orig=scope.orig,
            resp=None,
            summary=f"{scope.orig} failed to log in to {users:,} different {scope.service.upper()} accounts "
            f"on {plural(targets, 'host')} with {attempts:,} attempts in {in_seconds(case.duration_s)}",
            size=users,
            measures={"accounts": users, "attempts": attempts, "targets": targets, "duration_s": case.duration_s},
            thresholds={"accounts": settings.spray_users, "attempts_per_account": settings.spray_failures_per_user},
        )

    def _knocking(self, scope: Scope, case: LoginCase) -> Finding | None:
        """Judge short sessions at the doors of many hosts, as of who tries one password everywhere."""
        targets, settings = case.targets.count(), self._settings
        if targets < settings.spray_targets or case.whole.count > settings.spray_tries_per_target * targets:
            return None
        if case.is_orig_inside and not self._waiting.is_over(scope, case.first_seen):
            return None
        score = 0.5 + 0.3 * log_ramp(targets, settings.spray_targets, settings.spray_targets * settings.full_scale)
        return Finding(
            category="password_spray",
            techniques=(PASSWORD_SPRAYING,),
            score=min(score, settings.spray_inside_score) if case.is_orig_inside else score,
            orig=scope.orig,
            resp=None,
            summary=f"{scope.orig} held {case.whole.count:,} {scope.service.upper()} sessions too short for work with "
            f"{targets:,} hosts in {in_seconds(case.duration_s)}",
            size=targets,
            measures={"targets": targets, "attempts": case.whole.count, "duration_s": case.duration_s},
            thresholds={"targets": settings.spray_targets, "attempts_per_target": settings.spray_tries_per_target},
        )


_ANSWERS = {"answers": pl.col("http_statuses").list.len().sum()}


def _counted(flows: pl.DataFrame) -> Iterator[tuple[str, str, int, int]]:
    """Yield how many flows there are between which ends."""
    return flows.group_by("orig_ip", "resp_ip", "resp_port", maintain_order=True).len().iter_rows()


def _door(port: int | None) -> Door:
    """Return how sessions at a port are judged; those at unknown ports are SSH or RDP by their content."""
    return DOORS.get(port or 0, DOORS[22])


def _targets(row: Row, service: str) -> Scope:
    return Scope(row["orig_ip"], None, None, service, "targets")
