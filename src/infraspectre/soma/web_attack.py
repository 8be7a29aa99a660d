"""Web attacks: requests that carry code where a value belongs, and scanners that say their name."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote_plus

import msgspec
import polars as pl

from infraspectre.ml.bounded import DistinctCounter
from infraspectre.ml.robust import log_ramp
from infraspectre.records import Detection, Technique
from infraspectre.records.words import plural
from infraspectre.soma.detector import IDENTITY, Case, Casebook, Finding, Row, gathered_parts, host_of
from infraspectre.soma.techniques import (
    COMMAND_INTERPRETER,
    EXPLOIT_PUBLIC_APPLICATION,
    VULNERABILITY_SCANNING,
    WEB_SHELL,
    WORDLIST_SCANNING,
)

MAX_TEXT = 2_048
"""Most characters of a request that are judged."""
UNESCAPE_ROUNDS = 2
"""Rounds of percent decoding: attackers encode twice to pass filters that decode once."""


class Attack(NamedTuple):
    """Describes one kind of attack: its category, the pattern of its normalised text and how telling one hit is."""

    category: str
    pattern: re.Pattern[str]
    techniques: tuple[Technique, ...]
    score: float


def _attack(
    category: str, score: float, *patterns: str, techniques: tuple[Technique, ...] = (EXPLOIT_PUBLIC_APPLICATION,)
) -> Attack:
    return Attack(category, re.compile("|".join(patterns)), techniques, score)


ATTACKS = (
    _attack("log4shell", 0.8, r"\$\{(?:jndi|[^{}]{0,40}\$\{[^{}]{0,40}:-?j)[^}]{0,200}"),
    _attack("shellshock", 0.8, r"\(\)\s{0,4}\{[^}]{0,40}\}\s{0,4};", r"\(\)\s{0,4}\{\s{0,4}[:_]"),
    _attack(
        "web_shell",
        0.65,
        r"[?&](?:cmd|exec|command|execute|shell)=(?:whoami|id|ls|cat|dir|net|ipconfig|ifconfig|uname|systeminfo|"
        r"powershell|cmd|wget|curl|nc|pwd)(?:[ .;&|/]|$)",
        r"/(?:c99|r57|b374k|wso\d{0,2}|weevely|aspxspy|webshell|web-shell|chopper|shell\d{0,2})\.(?:php\d?|phtml|aspx?|ashx|jspx?|cfm)\b",
        techniques=(WEB_SHELL, COMMAND_INTERPRETER),
    ),
    _attack(
        "sql_injection",
        0.6,
        r"\bunion\s{1,4}(?:all\s{1,4}|distinct\s{1,4})?\(?select\b",
        r"['\"`)\d]\s{0,4}(?:or|and|\|\||xor|having)\s{0,4}\(?\s{0,4}(?:not\s{1,4})?['\"(]{0,4}[\w.-]{1,32}['\")]{0,4}\s{0,4}(?:[<>=!]{1,2}|like\b|is\b|between\b)",
        r"\b(?:sleep|benchmark|pg_sleep|dbms_pipe\.receive_message|extractvalue|updatexml|xp_cmdshell|load_file)\s{0,4}\(",
        r"\bwaitfor\s{1,4}delay\b",
        r"['\")]\s{0,4};\s{0,4}(?:drop|insert|update|delete|select|exec|declare|create|shutdown)\b",
        r"\bselect\b.{1,80}\bfrom\b.{0,60}(?:information_schema|sysobjects|sysusers|pg_|mysql\.|dual|all_users|rdb\$)",
        r"\b(?:and|or|where|having|select|rlike|elt|case)\s{0,4}\(?\s{0,4}select\b",
        r"\border\s{1,4}by\s{1,4}\d{1,3}\s{0,4}(?:--|#)",
        r"['\")]\s{0,4}(?:--|#|/\*)",
        r"\b(?:and|or|having|where|rlike)\s{1,4}\(?\s{0,4}(\d{1,9})\s{0,4}=\s{0,4}\1\b",
        r"\bchr?\(\d{1,3}\)\s{0,4}(?:\|\||\+|,)",
        r"/\*!?\d{0,5}(?:union|select)|convert\(int,|\bcase\s{1,4}when\b.{1,60}\bthen\b",
    ),
    _attack(
        "path_traversal",
        0.6,
        r"(?:\.\.[\\/]){3,}",
        r"(?:\.\.[\\/])+.{0,80}(?:etc|windows|winnt|boot\.ini|win\.ini|passwd|proc|system32|web-inf)",
        r"(?:^|[=/\\:])(?:etc[\\/](?:passwd|shadow|group|hosts)|proc[\\/]self[\\/])\b",
        r"(?:c:|file:/{2,3})[\\/]{0,2}(?:windows|winnt|boot\.ini|etc)",
        r"(?:php|expect|phar)://(?:filter|input)?",
    ),
    _attack(
        "command_injection",
        0.65,
        r"[;|&`\n]\s{0,4}/?(?:(?:usr/)?s?bin/)?(?:cat|ls|id|whoami|uname|wget|curl|nc|ncat|netcat|bash|sh|ping|ifconfig|ipconfig|net\s|dir|type|powershell|cmd|perl|python\d?|php|chmod|rm|echo|sleep|tftp|busybox|nslookup|reg|systeminfo|netstat)(?:[\s;|&`<>$)/]|\.exe|$)",
        r"\$\(\s{0,4}(?:cat|ls|id|whoami|uname|wget|curl|nc|bash|sh|ping|sleep|echo|expr|nslookup)\b",
        r"/bin/(?:ba|da|z|k|c)?sh\b|\bcmd(?:\.exe)?\s{0,4}/c\b|\$\{?ifs\b",
        r"<!--\s{0,4}#\s{0,4}exec|<\?php|\beval\s{0,4}\(\s{0,4}(?:base64_decode|\$_)|\bsystem\s{0,4}\(\s{0,4}['\"$]",
        techniques=(EXPLOIT_PUBLIC_APPLICATION, COMMAND_INTERPRETER),
    ),
    _attack(
        "xss_injection",
        0.5,
        r"<\s{0,4}/?script\b",
        r"<\s{0,4}(?:img|svg|iframe|body|input|object|embed|video|details|marquee|link|meta|base|a|div|style|table|layer|bgsound|frameset|isindex|xml|form|button)\b[^>]{0,200}(?:\bon\w{3,20}\s{0,4}=|javascript:|vbscript:|expression\(|data:text)",
        r"\b(?:javascript|vbscript)\s{0,4}:\s{0,4}\S{0,40}\(",
        r"['\"]\s{0,4}on(?:error|load|mouseover|focus|click|toggle)\s{0,4}=",
        r"\bdocument\.(?:cookie|write|location)\b|\bstring\.fromcharcode\b|\balert\s{0,4}\(\s{0,4}['\"\d`]",
    ),
)
"""Attacks from the most to the least specific; a request counts for the first that fits."""
SCANNERS = (
    r"(?i)\b(?:sqlmap|nikto|nessus|openvas|acunetix|masscan|zgrab|nuclei|wpscan|dirbuster|gobuster|feroxbuster|ffuf|"
    r"wfuzz|nmap scripting engine|w3af|arachni|havij|netsparker|qualys|jorgee|whatweb|morfeus|zmeu|muieblackcat|"
    r"skipfish|metasploit|hydra|commix|joomscan|paros|webinspect|burp)\b"
)
"""Names by which scanning tools introduce themselves."""
CANDIDATE = (
    r"""(?i)[%'"<>;|`{}$\\]|\.\./|/etc/|\b(?:select|union|script|exec|cmd|bash|php:)\b|\(\)|\b(?:and|or|where)[ +]|"""
    r"/(?:c99|r57|b374k|wso|weevely|aspxspy|web-?shell|chopper|shell)\d{0,2}\.|[?&](?:command|execute|shell)="
)
"""What a request must hold to be worth a look; ordinary ones hold nothing of it."""
DROPPED_SCRIPT = (
    r"(?i)/(?:uploads?|images?|img|pictures?|files?|te?mp|cache|media|assets|css|js|fonts|avatars?|attachments?)"
    r"/(?:[^?]{0,80}/)?[^/?]{1,60}\.(?:php\d?|phtml|aspx?|ashx|jspx?)(?:[?/]|$)"
)
"""A script where only data lies: what somebody left there is a web shell more often than not (NSA and ASD, Detect and
Prevent Web Shell Malware, 2020)."""
HANDLER = r"(?i)(?:upload|download|index|ajax|api|handler|connector|browse|manager|thumb|resize|image|captcha)[^/]*$"
"""Names of scripts that sites keep beside their data on purpose."""
MISSING = (403, 404, 410)
"""Status codes of what is not there or not for everybody (RFC 9110, 15.5)."""


ORDERS, GUESSES, TOOLS = "orders", "guesses", "vulnerability_scan"
"""Scopes that no pattern of a text finds: orders to a web shell, guessed paths, and tools by their name."""
_OTHERS = {ORDERS: (WEB_SHELL,), TOOLS: (VULNERABILITY_SCANNING,)}


class WebAttackSettings(msgspec.Struct, frozen=True):
    """Sets how web attacks are scored."""

    full_hits: int = 100
    """Hits at which repetition adds fully: a tool tries hundreds."""
    repetition: float = 0.2
    """Most that repetition adds to the score of one hit."""
    scanner_score: float = 0.55
    """Score of a scanner's name: anyone can claim it, and owners scan too."""
    outward: float = 0.1
    """Less for requests from inside to outside, where addresses of pages hold code for many reasons."""
    orders: int = 5
    """Posts to a script among data: who commands by one sends order after order."""
    missing: int = 25
    """Different paths asked for that are not there: a broken page or crawler misses some, lists hold thousands."""
    missing_share: float = 0.5
    """Share of them among all answers: who reads mostly finds."""
    full_missing: int = 1_000
    """Missing paths at which the score is full."""
    outward_score: float = 0.45
    """Most for missing paths of outside servers, where crawlers and programs look for much that was moved."""
    capacity: int = 8_192
    """Cases kept."""


class Scope(NamedTuple):
    """Identifies who attacks what how."""

    orig: str
    resp: str
    port: int
    category: str


class RequestCase(Case):
    """Counts telling requests."""

    def __init__(self) -> None:
        """Start with no hit."""
        super().__init__()
        self.hits = 0
        self.answers = 0
        self.paths = DistinctCounter(512)
        self.is_outward = False


class WebAttack:
    """Finds injection, traversal, web shells and lists of guessed paths in requests and their answers."""

    name = "web_attack"
    columns = frozenset({"http_uris", "http_user_agents"})
    helpful = frozenset({"http_referrers", "http_methods", "http_statuses"})

    def __init__(self, settings: WebAttackSettings | None = None) -> None:
        """Start with no case."""
        self._settings = settings or WebAttackSettings()
        self._kinds = {attack.category: attack for attack in ATTACKS}
        self._book: Casebook[Scope, RequestCase] = Casebook(
            self.name, self._settings.capacity, RequestCase, self._judge
        )

    def detect(self, frame: pl.DataFrame) -> list[Detection]:
        """Return attacks newly seen or grown tenfold."""
        columns = [name for name in ("http_uris", "http_user_agents", "http_referrers") if name in frame.columns]
        touched = [scope for column in columns for scope in self._requests(frame, column)]
        touched += self._scanners(frame)
        if {"http_methods", "http_statuses"} <= set(frame.columns):
            touched += self._orders(frame) + self._guesses(frame)
        return self._book.review(touched)

    def finish(self) -> list[Detection]:
        """Return attacks that grew since their last report."""
        return self._book.close()

    def _requests(self, frame: pl.DataFrame, column: str) -> list[Scope]:
        texts = _texts(frame, column).filter(pl.col("text").str.contains(CANDIDATE))
        kinds = {text: attack_in(text) for text in texts["text"].unique(maintain_order=True)}
        category = pl.Series("category", [kinds[text] for text in texts["text"]], dtype=pl.String)
        return self._gather(texts.with_columns(category).drop_nulls("category"))

    def _scanners(self, frame: pl.DataFrame) -> list[Scope]:
        named = _texts(frame, "http_user_agents").filter(pl.col("text").str.contains(SCANNERS))
        return self._gather(named.with_columns(category=pl.lit(TOOLS)))

    def _orders(self, frame: pl.DataFrame) -> list[Scope]:
        """Gather posts to scripts that lie among data."""
        posts = _parallel(frame.filter(pl.col("http_methods").list.contains("POST")), "http_methods")
        is_order = (pl.col("value") == "POST") & pl.col("text").str.contains(DROPPED_SCRIPT)
        orders = posts.filter(is_order & ~pl.col("text").str.split("?").list.first().str.contains(HANDLER))
        return self._gather(orders.with_columns(category=pl.lit(ORDERS)))

    def _guesses(self, frame: pl.DataFrame) -> list[Scope]:
        """Gather paths that are not there, and count all answers of who asked for them."""
        is_missing = pl.any_horizontal(pl.col("http_statuses").list.contains(code) for code in MISSING)
        missed = _parallel(frame.filter(is_missing), "http_statuses").filter(pl.col("value").is_in(MISSING))
        touched = self._gather(missed.with_columns(category=pl.lit(GUESSES)))
        keys = ["orig_ip", "resp_ip", "resp_port"]
        answered = frame.filter(pl.col("http_statuses").list.len() > 0)
        answers = answered.group_by(keys, maintain_order=True).agg(pl.col("http_statuses").list.len().sum())
        for orig, resp, port, count in answers.iter_rows():
            case = self._book.cases.get(Scope(orig, resp, port, GUESSES))
            if case is not None:
                case.answers += count
        return touched

    def _gather(self, hits: pl.DataFrame) -> list[Scope]:
        rows = gathered_parts(
            hits,
            ["orig_ip", "resp_ip", "resp_port", "category"],
            texts=pl.col("text").unique(maintain_order=True).head(8),
            paths=pl.col("text").str.split("?").list.first().unique(maintain_order=True).hash(),
            outward=(pl.col("orig_inside") & ~pl.col("resp_inside")).first(),
        )
        return [self._absorb(row) for row in rows]

    def _absorb(self, row: Row) -> Scope:
        scope = Scope(row["orig_ip"], row["resp_ip"], row["resp_port"], row["category"])
        case = self._book.opened(scope, row)
        case.hits += row["rows"]
        case.paths.update(row["paths"])
        case.is_outward = row["outward"]
        case.absorb(row)
        case.show(row["texts"])
        return scope

    def _judge(self, scope: Scope, case: RequestCase) -> Finding | None:
        if scope.category == GUESSES:
            return self._guessing(scope, case)
        if scope.category == ORDERS and case.hits < self._settings.orders:
            return None
        attack, settings = self._kinds.get(scope.category), self._settings
        floor = (attack.score if attack else settings.scanner_score) - settings.outward * case.is_outward
        category = "web_shell" if scope.category == ORDERS else scope.category
        kind = category.replace("_", " ")
        example = next(iter(case.examples), "")
        return Finding(
            category=category,
            techniques=attack.techniques if attack else _OTHERS[scope.category],
            score=floor + settings.repetition * log_ramp(case.hits, 1, settings.full_hits),
            orig=scope.orig,
            resp=scope.resp,
            summary=f"{scope.orig} sent {plural(case.hits, 'request field')} that look like {kind} to "
            f"{host_of(scope.resp, scope.port)}, such as {example[:80]!r}",
            size=case.hits,
            measures={"request_fields": case.hits},
            thresholds={"request_fields": settings.orders if scope.category == ORDERS else 1},
            rule=scope.category,
        )

    def _guessing(self, scope: Scope, case: RequestCase) -> Finding | None:
        paths, settings = case.paths.count(), self._settings
        if paths < settings.missing or case.hits < settings.missing_share * case.answers:
            return None
        score = 0.5 + 0.3 * log_ramp(paths, settings.missing, settings.full_missing)
        return Finding(
            category="path_scan",
            techniques=(WORDLIST_SCANNING, VULNERABILITY_SCANNING),
            score=min(score, settings.outward_score) if case.is_outward else score,
            orig=scope.orig,
            resp=scope.resp,
            summary=f"{scope.orig} asked {host_of(scope.resp, scope.port)} for {paths:,} paths that are not there, "
            f"{case.hits:,} of {case.answers:,} answers",
            size=paths,
            measures={"missing_paths": paths, "missing_answers": case.hits, "answers": case.answers},
            thresholds={"missing_paths": settings.missing, "missing_share": settings.missing_share},
        )


def attack_in(text: str) -> str | None:
    """Name the attack that a request text carries, if any."""
    plain = normalized(text)
    return next((attack.category for attack in ATTACKS if attack.pattern.search(plain)), None)


def normalized(text: str) -> str:
    """Undo what hides an attack: escapes, letter case, comments inside words and runs of blanks."""
    plain = text[:MAX_TEXT]
    for _ in range(UNESCAPE_ROUNDS):
        plain = unquote_plus(plain)
    plain = plain.lower().replace("\x00", "").replace("/**/", " ")
    return re.sub(r"[ \t\r\f\v]+", " ", plain)


def _parallel(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    """Pair each request's target with its place in another list, where the two are of one length."""
    paired = frame.filter(pl.col(column).list.len() == pl.col("http_uris").list.len())
    columns = paired.select(*IDENTITY, "orig_inside", "resp_inside", text="http_uris", value=column)
    return columns.explode("text", "value").drop_nulls("text")


def _texts(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    return (
        frame.filter(pl.col(column).list.len() > 0)
        .select(*IDENTITY, "orig_inside", "resp_inside", text=column)
        .explode("text")
        .drop_nulls("text")
    )
