"""Poisoned names: hosts that answer for names of others, so that whoever asks comes to them and logs in there."""

from __future__ import annotations

import msgspec
import polars as pl

from infraspectre.ml.bounded import BoundedTable
from infraspectre.ml.robust import log_ramp
from infraspectre.records import Detection
from infraspectre.records.words import listed, plural
from infraspectre.soma.detector import SECOND, Case, Casebook, Finding, Row, gathered
from infraspectre.soma.techniques import NAME_POISONING

MULTICAST_DNS = 5_353
LINK_LOCAL_PORTS = (137, MULTICAST_DNS, 5_355)
"""Ports of NetBIOS names (RFC 1002), multicast DNS (RFC 6762) and LLMNR (RFC 4795)."""
LOGIN_PORTS = (21, 25, 80, 88, 110, 139, 143, 389, 443, 445, 1_433, 3_128, 3_389, 5_985)
"""Ports on which tools that poison names wait for logins (Responder, Inveigh)."""
ALWAYS_WANTED = ("wpad", "isatap", "proxysrv")
"""Names that programs ask for by themselves, whose answer decides where traffic goes: no host bears them."""
GROUP_SUFFIXES = "\x1b\x1c\x1d\x1e\x01"
"""Last bytes of NetBIOS names that stand for a domain or a group, for which its controllers answer (MS-NBTE, 2.2.1)."""


class NamePoisoningSettings(msgspec.Struct, frozen=True):
    """Sets the thresholds of poisoned names."""

    names: int = 3
    """Names of others that a host may not answer for: it has one name, and may have an alias."""
    announced_names: int = 6
    """The same for names that it gives without being asked for them: devices have a name for each of their services."""
    login_s: float = 120.0
    """Time after an answer within which a login there belongs to it."""
    wanted_score: float = 0.65
    """Score of an answer for a name that no host bears."""
    foreign_score: float = 0.4
    """Score of an answer for another name than the host's own, where that is known: hosts may have an alias."""
    many_score: float = 0.6
    """Score of answers for many names."""
    login_score: float = 0.15
    """What logins after it add."""
    full_names: int = 30
    """Names at which the score is full."""
    kept: int = 64
    """Names, and victims, remembered for a host."""
    capacity: int = 8_192
    """Hosts remembered."""


class AnswerCase(Case):
    """Remembers for which names a host answered, to whom, and who came."""

    def __init__(self) -> None:
        """Start with no answer."""
        super().__init__()
        self.asked: dict[str, None] = {}
        """Names that it was asked for."""
        self.announced: dict[str, None] = {}
        self.victims: dict[str, int] = {}
        """When each was answered last."""
        self.logins: dict[str, None] = {}


class NamePoisoning:
    """Finds hosts that answer for the names of others by LLMNR, NetBIOS or multicast DNS."""

    name = "name_poisoning"
    columns = frozenset({"app_protocol", "orig_port", "dns_queries", "dns_answers", "dns_answer_types"})
    helpful = frozenset({"dns_announced_names", "dhcp_host_name", "dhcp_address", "smb_hosts", "resp_payload_bytes"})

    def __init__(self, settings: NamePoisoningSettings | None = None) -> None:
        """Start with no case."""
        self._settings = settings or NamePoisoningSettings()
        self._book: Casebook[str, AnswerCase] = Casebook(self.name, self._settings.capacity, AnswerCase, self._judge)
        self._own: BoundedTable[str, dict[str, None]] = BoundedTable(self._settings.capacity, dict)

    def detect(self, frame: pl.DataFrame) -> list[Detection]:
        """Return hosts that answered for others."""
        self._learn(frame)
        touched = [self._absorb(row) for row in _answers(frame)]
        return self._book.review(touched + self._logins(frame))

    def finish(self) -> list[Detection]:
        """Return what grew since its last report."""
        return self._book.close()

    def _learn(self, frame: pl.DataFrame) -> None:
        """Learn the names that hosts call themselves when they ask for a lease or log in."""
        known = [
            frame.filter(pl.col(name).is_not_null()).select(address=address, name=text)
            for name, address, text in (
                ("dhcp_host_name", pl.col("dhcp_address"), pl.col("dhcp_host_name")),
                ("smb_hosts", pl.col("orig_ip"), pl.col("smb_hosts").list.first()),
            )
            if name in frame.columns and (name != "dhcp_host_name" or "dhcp_address" in frame.columns)
        ]
        for address, text in (row for each in known for row in each.drop_nulls().iter_rows()):
            _remember(self._own[address], _plain(text), self._settings.kept)

    def _absorb(self, row: Row) -> str:
        settings = self._settings
        host: str = row["orig_ip"]
        case = self._book[host]
        case.absorb(row)
        for names, kept in ((row["asked"], case.asked), (row["announced"], case.announced)):
            for name in map(_plain, names):
                if name:
                    _remember(kept, name, settings.kept)
        if not row["resp_group"] and (row["resp_ip"] in case.victims or len(case.victims) < settings.kept):
            case.victims[row["resp_ip"]] = row["last_seen"]
        case.show(self._foreign(host, case))
        return host

    def _logins(self, frame: pl.DataFrame) -> list[str]:
        """Note who came to a host that had answered for others; return these hosts."""
        poisoners = [host for host, case in self._book.cases.items() if case.reported or len(case.asked) > 1]
        came = frame.filter(
            pl.col("resp_ip").is_in(poisoners)
            & (pl.col("protocol") == "tcp")
            & pl.col("resp_port").is_in(LOGIN_PORTS)
            & (pl.col("resp_payload_bytes") > 0 if "resp_payload_bytes" in frame.columns else pl.lit(value=True))
        )
        touched = []
        for row in gathered(came, ["orig_ip", "resp_ip"], starts=pl.col("started_at")):
            case = self._book[row["resp_ip"]]
            answered = case.victims.get(row["orig_ip"])
            wait = self._settings.login_s * SECOND
            if answered is not None and any(abs(at - answered) <= wait for at in row["starts"]):
                case.absorb(row)
                case.logins[row["orig_ip"]] = None
                touched.append(row["resp_ip"])
        return touched

    def _foreign(self, host: str, case: AnswerCase) -> list[str]:
        own = self._own.get(host) or {}
        return [name for name in case.asked | case.announced if name not in own]

    def _judge(self, host: str, case: AnswerCase) -> Finding | None:
        settings = self._settings
        foreign = self._foreign(host, case)
        score = self._score(host, case, foreign)
        if score is None:
            return None
        came = f"; {plural(len(case.logins), 'host')} logged in there" if case.logins else ""
        return Finding(
            category="name_poisoning",
            techniques=(NAME_POISONING,),
            score=min(1.0, score + (settings.login_score if case.logins else 0.0)),
            orig=host,
            resp=next(iter(case.logins or case.victims), None),
            summary=f"{host} answered by LLMNR, NetBIOS or mDNS for {plural(len(foreign), 'name')} that "
            f"{'is' if len(foreign) == 1 else 'are'} not its own, such as {listed(foreign[:4])}, "
            f"to {plural(len(case.victims), 'host')}{came}",
            size=len(foreign) + len(case.victims) + len(case.logins),
            measures={"names": len(foreign), "victims": len(case.victims), "logins": len(case.logins)},
            thresholds={"names": settings.names},
        )

    def _score(self, host: str, case: AnswerCase, foreign: list[str]) -> float | None:
        settings = self._settings
        scores = [0.0]
        requested = sum(name in case.asked for name in foreign)
        if any(name in ALWAYS_WANTED for name in foreign):
            scores.append(settings.wanted_score)
        if foreign and self._own.get(host):
            scores.append(settings.foreign_score)
        if requested >= settings.names or len(foreign) >= settings.announced_names:
            scores.append(settings.many_score + 0.2 * log_ramp(len(foreign), settings.names, settings.full_names))
        return max(scores) or None


def _remember(names: dict[str, None], name: str, most: int) -> None:
    if len(names) < most:
        names[name] = None


def _plain(name: str) -> str:
    """Return the first label of a name in lower case, decoded where NetBIOS encodes it."""
    label = name.split(".", 1)[0].lower()
    return _decoded(label) if len(label) in (31, 32) else label


def _decoded(label: str) -> str:
    """Decode the first level encoding of NetBIOS names: a letter for each half of a byte (RFC 1001, 14.1)."""
    halves = [ord(letter) - ord("a") for letter in label]
    if not all(0 <= half < 16 for half in halves):
        return label
    decoded = "".join(chr(high << 4 | low) for high, low in zip(halves[::2], halves[1::2], strict=False))
    return "" if decoded[:1] == "*" or decoded[15:] in tuple(GROUP_SUFFIXES) else decoded[:15].strip().lower()


def _answers(frame: pl.DataFrame) -> list[Row]:
    """Return who gave its own address in answers to whom, and for which names."""
    has_announced = "dns_announced_names" in frame.columns
    announced = pl.col("dns_announced_names") if has_announced else pl.lit(None, dtype=pl.List(pl.String))
    responses = frame.filter(
        (pl.col("protocol") == "udp")
        & pl.col("orig_port").is_in(LINK_LOCAL_PORTS)
        & pl.col("orig_inside")
        & (pl.col("dns_answers").list.len() > 0)
    ).with_columns(announced=announced)
    is_between_peers = (pl.col("orig_port") == MULTICAST_DNS) & (pl.col("resp_port") == MULTICAST_DNS)
    owned = responses.filter(_gives_itself()).with_columns(
        asked=pl.when(pl.col("resp_group"))
        .then(None)
        .when(is_between_peers)  # its questions are those that it asked itself
        .then("announced")
        .otherwise(pl.coalesce("dns_queries", "announced")),
        announced=pl.when("resp_group").then("announced").otherwise(None),
    )
    names = {name: pl.col(name).explode().drop_nulls().unique(maintain_order=True) for name in ("asked", "announced")}
    return list(gathered(owned, ["orig_ip", "resp_ip"], resp_group=pl.col("resp_group").first(), **names))


def _gives_itself() -> pl.Expr:
    """Tell whether the answers give the address of who answers; NetBIOS gives it in hexadecimal behind flags."""
    octets = pl.col("orig_ip").str.split(".").list.eval(pl.element().cast(pl.UInt8, strict=False))
    packed = octets.list.eval(pl.element().cast(pl.UInt32).map_batches(_hexadecimal, pl.String)).list.join("")
    answers = pl.col("dns_answers")
    is_netbios = pl.col("dns_answer_types").list.contains("NB")
    return answers.list.contains(pl.col("orig_ip")) | (
        is_netbios & answers.list.join(" ").str.contains(packed, literal=True)
    )


def _hexadecimal(octets: pl.Series) -> pl.Series:
    return pl.Series([f"{octet or 0:02x}" for octet in octets], dtype=pl.String)
