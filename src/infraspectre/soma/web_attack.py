"""Web attacks: requests that carry code where a value belongs, and scanners that say their name."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote_plus

import msgspec
import polars as pl

from infraspectre.ml.robust import log_ramp
from infraspectre.records import Detection, Technique
from infraspectre.records.words import plural
from infraspectre.soma.detector import IDENTITY, Case, Casebook, Finding, Row, gathered_parts, host_of
from infraspectre.soma.techniques import EXPLOIT_PUBLIC_APPLICATION, VULNERABILITY_SCANNING

MAX_TEXT = 2_048
"""Most characters of a request that are judged."""
UNESCAPE_ROUNDS = 2
"""Rounds of percent decoding: attackers encode twice to pass filters that decode once."""


class Attack(NamedTuple):
    """Describes one kind of attack: its category, the pattern of its normalised text and how telling one hit is."""

    category: str
    pattern: re.Pattern[str]
    technique: Technique
    score: float


def _attack(category: str, score: float, *patterns: str) -> Attack:
    return Attack(category, re.compile("|".join(patterns)), EXPLOIT_PUBLIC_APPLICATION, score)


ATTACKS = (
    _attack("log4shell", 0.8, r"\$\{(?:jndi|[^{}]{0,40}\$\{[^{}]{0,40}:-?j)[^}]{0,200}"),
    _attack("shellshock", 0.8, r"\(\)\s{0,4}\{[^}]{0,40}\}\s{0,4};", r"\(\)\s{0,4}\{\s{0,4}[:_]"),
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
    r"""(?i)[%'"<>;|`{}$\\]|\.\./|/etc/|\b(?:select|union|script|exec|cmd|bash|php:)\b|\(\)|\b(?:and|or|where)[ +]"""
)
"""What a request must hold to be worth a look; ordinary ones hold nothing of it."""


class WebAttackSettings(msgspec.Struct, frozen=True):
    """Sets how web attacks are scored."""

    full_hits: int = 100
    """Hits at which repetition adds fully: a tool tries hundreds."""
    repetition: float = 0.2
    """Most that repetition adds to the score of one hit."""
    scanner_score: float = 0.55
    """Score of a scanner's name: anyone can claim it, and owners scan too."""
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


class WebAttack:
    """Finds injection, traversal and scripted requests in URIs and header fields."""

    name = "web_attack"
    columns = frozenset({"http_uris", "http_user_agents"})
    helpful = frozenset({"http_referrers"})

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
        return self._gather(named.with_columns(category=pl.lit("vulnerability_scan")))

    def _gather(self, hits: pl.DataFrame) -> list[Scope]:
        rows = gathered_parts(
            hits,
            ["orig_ip", "resp_ip", "resp_port", "category"],
            texts=pl.col("text").unique(maintain_order=True).head(8),
        )
        return [self._absorb(row) for row in rows]

    def _absorb(self, row: Row) -> Scope:
        scope = Scope(row["orig_ip"], row["resp_ip"], row["resp_port"], row["category"])
        case = self._book[scope]
        case.hits += row["rows"]
        case.absorb(row)
        case.show(row["texts"])
        return scope

    def _judge(self, scope: Scope, case: RequestCase) -> Finding | None:
        attack, settings = self._kinds.get(scope.category), self._settings
        floor = attack.score if attack else settings.scanner_score
        kind = scope.category.replace("_", " ")
        example = next(iter(case.examples), "")
        return Finding(
            category=scope.category,
            techniques=(attack.technique if attack else VULNERABILITY_SCANNING,),
            score=floor + settings.repetition * log_ramp(case.hits, 1, settings.full_hits),
            orig=scope.orig,
            resp=scope.resp,
            summary=f"{scope.orig} sent {plural(case.hits, 'request field')} that look like {kind} to "
            f"{host_of(scope.resp, scope.port)}, such as {example[:80]!r}",
            size=case.hits,
            measures={"request_fields": case.hits},
            thresholds={"request_fields": 1},
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


def _texts(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    return frame.filter(pl.col(column).list.len() > 0).select(*IDENTITY, text=column).explode("text").drop_nulls("text")
