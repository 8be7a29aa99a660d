"""ARP poisoning: a host that claims addresses of others at its own hardware address while their owners are there."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import polars as pl

from infraspectre.ml.bounded import BoundedTable
from infraspectre.ml.robust import log_ramp
from infraspectre.ports import Claims
from infraspectre.records import Detection
from infraspectre.records.words import listed, plural
from infraspectre.soma.detector import MAX_PACKETS, SECOND, Case, Casebook, Finding, in_seconds
from infraspectre.soma.techniques import ARP_POISONING

SHARED = ("00:00:5e:00:01:", "00:00:5e:00:02:", "00:00:0c:07:ac:", "00:00:0c:9f:f", "00:05:73:a0:0", "00:07:b4:")
"""Begin hardware addresses that pass from router to router by design: VRRP (RFC 5798), HSRP and GLBP (Cisco)."""


class ArpPoisoningSettings(msgspec.Struct, frozen=True):
    """Sets the thresholds of ARP poisoning."""

    known_claims: int = 2
    """Claims by which an owner is known."""
    alive_s: float = 600.0
    """Time after which an owner that said nothing has left; caches ask again within it (RFC 1122, 2.3.2.1)."""
    contested: int = 4
    """Claims of others' addresses: one or two come when a lease is given too early."""
    span_s: float = 20.0
    """Time over which they are made: tools repeat them for as long as they run."""
    doubtful_score: float = 0.4
    """Score of one address claimed in requests, too: two hosts may have been given one address."""
    single_score: float = 0.6
    """Score of one address taken by answers alone."""
    pair_score: float = 0.8
    """Score of several: to sit between two hosts, a host claims the address of each."""
    full_claims: int = 200
    """Claims at which the score is full."""
    kept: int = 64
    """Addresses remembered for a host."""
    capacity: int = 32_768
    """Addresses and hosts remembered."""


class Scope(NamedTuple):
    """Identifies a host of a network by its hardware address."""

    vlan: int | None
    mac: str


class Claim(NamedTuple):
    """Says who claims which address."""

    packet: int
    at: int
    vlan: int | None
    address: str
    mac: str
    is_reply: bool

    @property
    def scope(self) -> Scope:
        """Return who claims."""
        return Scope(self.vlan, self.mac)


class Owner:
    """Remembers whose an address is, and which claims of others the owner has not yet contradicted."""

    __slots__ = ("claims", "contested", "has_rivals", "last", "mac")

    def __init__(self) -> None:
        """Start with no owner."""
        self.mac = ""
        self.claims = 0
        self.last = 0
        self.contested: list[Claim] = []
        self.has_rivals = False
        """Whether anybody else ever claimed it."""


class TakenCase(Case):
    """Sums up the addresses of others that a host claimed while their owners were there."""

    def __init__(self) -> None:
        """Start with nothing taken."""
        super().__init__()
        self.claims = 0
        self.replies = 0
        self.addresses: dict[str, int] = {}
        """Claims by address."""

    def take(self, claim: Claim) -> None:
        """Add a claim that its owner contradicts."""
        self.first_seen = min(self.first_seen, claim.at) if self.claims else claim.at
        self.last_seen = max(self.last_seen, claim.at)
        self.packets += [claim.packet][: MAX_PACKETS - len(self.packets)]
        self.claims += 1
        self.replies += claim.is_reply
        self.addresses[claim.address] = self.addresses.get(claim.address, 0) + 1
        self.show([f"{claim.address} is at {claim.mac}"])


class ArpPoisoning:
    """Finds hosts that claim addresses of others again and again, while their owners claim them, too."""

    name = "arp_poisoning"
    columns = frozenset({"last_packet"})
    helpful = frozenset({"orig_mac", "dhcp_client_mac", "dhcp_address"})

    def __init__(self, source: Claims, settings: ArpPoisoningSettings | None = None) -> None:
        """Take the claims of the source that gives the flows."""
        self._settings = settings or ArpPoisoningSettings()
        self._source = source
        self._waiting: pl.DataFrame | None = None
        capacity = self._settings.capacity
        self._owners: BoundedTable[tuple[int | None, str], Owner] = BoundedTable(capacity, Owner)
        self._claimed: BoundedTable[Scope, dict[str, bool]] = BoundedTable(capacity, dict)
        self._seen: BoundedTable[str, list[str]] = BoundedTable(capacity, list)
        self._book: Casebook[Scope, TakenCase] = Casebook(self.name, capacity, TakenCase, self._judge)

    def detect(self, frame: pl.DataFrame) -> list[Detection]:
        """Return poisoning that became certain with the packets up to the last one of these flows."""
        self._see(frame)
        reached = frame["last_packet"].max()
        return self._look(self._taken(reached if isinstance(reached, int) else 0))

    def finish(self) -> list[Detection]:
        """Return what the remaining claims add, and what grew since its last report."""
        return self._look(self._taken(None)) + self._book.close()

    def _see(self, frame: pl.DataFrame) -> None:
        """Remember which address a hardware address got or used first, for hosts that never ask by ARP."""
        for mac, address in (("dhcp_client_mac", "dhcp_address"), ("orig_mac", "orig_ip")):
            if {mac, address} <= set(frame.columns):
                told = frame.filter(pl.col("orig_inside") & pl.col(mac).is_not_null())
                first = told.group_by(mac, maintain_order=True).agg(pl.col(address).drop_nulls().first()).drop_nulls()
                for key, value in first.iter_rows():
                    if not (seen := self._seen[key]):
                        seen.append(value)

    def _taken(self, reached: int | None) -> pl.DataFrame:
        """Return the claims up to a packet, or all, and keep the rest: the same however flows are cut into batches."""
        fresh = self._source.claims()
        claims = fresh if self._waiting is None else pl.concat([self._waiting, fresh])
        due = claims if reached is None else claims.filter(pl.col("packet") <= reached)
        self._waiting = claims[len(due) :]
        return due

    def _look(self, claims: pl.DataFrame) -> list[Detection]:
        rows = _condensed(claims).select(Claim._fields).iter_rows()
        return self._book.review([scope for row in rows for scope in self._note(Claim(*row))])

    def _note(self, claim: Claim) -> list[Scope]:
        """Note a claim; return who took an address that its owner now claims again."""
        claimed = self._claimed[claim.scope]
        if claim.address in claimed or len(claimed) < self._settings.kept:
            claimed[claim.address] = claimed.get(claim.address, False) or not claim.is_reply
        owner = self._owners[claim.vlan, claim.address]
        if owner.mac == claim.mac:
            owner.claims, owner.last = owner.claims + 1, claim.at
            return self._contradicted(owner, claim)
        owner.has_rivals |= bool(owner.mac)
        is_known = owner.claims >= self._settings.known_claims
        if is_known and claim.at - owner.last <= self._settings.alive_s * SECOND:
            owner.contested = [*owner.contested, claim][-self._settings.kept :]
        else:
            owner.mac, owner.claims, owner.last, owner.contested = claim.mac, 1, claim.at, []
        return []

    def _contradicted(self, owner: Owner, claim: Claim) -> list[Scope]:
        """Hold contested claims against who made them, or against the owner, if that one claims more addresses."""
        contested, owner.contested = owner.contested, []
        takers = []
        for each in contested:
            is_owner_broader = len(self._claimed[claim.scope]) > len(self._claimed[each.scope])
            taken = claim if is_owner_broader else each
            self._book[taken.scope].take(taken)
            takers.append(taken.scope)
        return takers

    def _judge(self, scope: Scope, case: TakenCase) -> Finding | None:
        settings = self._settings
        if case.claims < settings.contested or case.duration_s < settings.span_s:
            return None
        own = self._own(scope, case)
        return Finding(
            category="arp_poisoning",
            techniques=(ARP_POISONING,),
            score=self._score(case),
            orig=own,
            resp=max(case.addresses, key=lambda address: case.addresses[address]),
            summary=f"{own or 'a host without an address'} ({scope.mac}) claimed {plural(case.claims, 'time')} in "
            f"{in_seconds(case.duration_s)} to be {listed(list(case.addresses)[:4])}, whose owner was there",
            size=case.claims,
            measures={"claims": case.claims, "addresses": len(case.addresses), "replies": case.replies},
            thresholds={"claims": settings.contested, "span_s": settings.span_s},
        )

    def _score(self, case: TakenCase) -> float:
        settings = self._settings
        many = 0.15 * log_ramp(case.claims, settings.contested, settings.full_claims)
        if len(case.addresses) > 1:
            return settings.pair_score + many
        return settings.single_score + many if 2 * case.replies > case.claims else settings.doubtful_score

    def _own(self, scope: Scope, case: TakenCase) -> str | None:
        """Return the address of a host: with which it asked, of its lease or first flow, or that it alone claims."""
        claimed = self._claimed.get(scope) or {}
        asked = [address for address, has_asked in claimed.items() if has_asked]
        known = [*asked, *(self._seen.get(scope.mac) or ()), *claimed]
        return next((each for each in known if each not in case.addresses and self._may_own(scope, each)), None)

    def _may_own(self, scope: Scope, address: str) -> bool:
        owner = self._owners.get((scope.vlan, address))
        return owner is None or (owner.mac == scope.mac and not owner.has_rivals)


def _condensed(claims: pl.DataFrame) -> pl.DataFrame:
    """Leave out shared hardware addresses, and what repeats the claim before it on an address within a second."""
    is_shared = pl.any_horizontal([pl.col("mac").str.starts_with(prefix) for prefix in SHARED])
    said = pl.struct("mac", pl.col("at") // SECOND)
    return claims.filter(~is_shared).filter((said != said.shift().over("vlan", "address")).fill_null(value=True))
