"""Business rules: who may do what to whom and when; what they allow is lowered and says why, never lost."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, tzinfo
from ipaddress import ip_network

import msgspec

from infraspectre.intel.assets import Assets
from infraspectre.intel.families import FAMILIES, family
from infraspectre.intel.windows import local_time, window_of, zone_of
from infraspectre.records import Detection
from infraspectre.records.address import is_inside, parse_address

ALLOWED_SCORE = 0.2
"""Highest score of what is allowed: informational, and further evidence may still build on it."""
ALLOWED_PROBABILITY = 0.1
NAMES = tuple(each.name for each in FAMILIES)
TECHNIQUE = re.compile(r"T\d{4}(\.\d{3})?")
PARTY = re.compile(r"(role|name|owner):\S.*")
PLACES: dict[str, Callable[[str], bool]] = {
    "any": lambda _: True,
    "inside": is_inside,
    "outside": lambda address: not is_inside(address),
    "unnamed": lambda _: False,
}
"""Words for parties; unnamed is who a finding does not name, such as the many targets of a sweep."""
SCANNER = (
    *("scan", "brute_force", "web_attack", "signature", "lateral_movement", "rare_protocol", "weak_encryption"),
    "anomaly",
)
"""What scanners of vulnerabilities do; that one calls a control server or sends data away is never their task."""
MAINTENANCE = (*SCANNER, "malware_download", "flood")
"""What administrators do while they maintain hosts."""


class BusinessRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Says who may do what to whom and when."""

    name: str
    what: tuple[str, ...]
    """Families of findings, ATT&CK techniques, or category: and a category."""
    who: tuple[str, ...] = ("any",)
    """Addresses, networks, inside, outside, any, or role:, name: and owner: with those of assets."""
    whom: tuple[str, ...] = ("any",)
    when: tuple[str, ...] | str = ()
    """Windows of time; none is always."""
    time_zone: str = ""
    """The zone of the windows; empty is that of the file."""
    reason: str = ""

    def __post_init__(self) -> None:
        """Refuse what has no meaning; raises ValueError."""
        for each in self.what:
            if not (each in NAMES or TECHNIQUE.fullmatch(each) or each.startswith("category:")):
                raise ValueError(
                    f"there is no kind {each!r}; there are {', '.join(NAMES)}, techniques and category:NAME"
                )
        require_parties([*self.who, *self.whom])
        require_times(self.when, self.time_zone)


class Scanner(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Names hosts that are authorised to scan."""

    name: str
    hosts: tuple[str, ...]
    targets: tuple[str, ...] = ("inside",)
    when: tuple[str, ...] | str = ()
    time_zone: str = ""

    def __post_init__(self) -> None:
        """Refuse what has no meaning; raises ValueError."""
        require_parties([*self.hosts, *self.targets])
        require_times(self.when, self.time_zone)

    @property
    def rule(self) -> BusinessRule:
        """Return what that allows as a rule."""
        targets = (*self.targets, "unnamed")
        return BusinessRule(f"authorised scanner {self.name}", SCANNER, self.hosts, targets, self.when, self.time_zone)


class Maintenance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Names hosts on which people work at some times."""

    name: str
    hosts: tuple[str, ...]
    when: tuple[str, ...] | str
    time_zone: str = ""
    what: tuple[str, ...] = MAINTENANCE

    def __post_init__(self) -> None:
        """Refuse what has no meaning; raises ValueError."""
        require_parties(self.hosts)
        require_times(self.when, self.time_zone)
        if not self.when:
            raise ValueError("maintenance needs times")

    @property
    def rules(self) -> list[BusinessRule]:
        """Return what that allows as rules: what is done by the hosts, and to them from inside."""
        name = f"maintenance {self.name}"
        return [
            BusinessRule(name, self.what, self.hosts, ("inside", "unnamed"), self.when, self.time_zone),
            BusinessRule(name, self.what, ("inside",), self.hosts, self.when, self.time_zone),
        ]


def require_parties(texts: Sequence[str]) -> None:
    """Raise ValueError for what is no party."""
    for text in texts:
        if text not in PLACES and not PARTY.fullmatch(text):
            try:
                ip_network(text, strict=False)
            except ValueError as error:
                remedy = "write an address, a network, inside, outside, any, unnamed, role:R, name:N or owner:O"
                raise ValueError(f"{text!r} names nobody; {remedy}") from error


def require_times(when: tuple[str, ...] | str, time_zone: str) -> None:
    """Raise ValueError for what is no window or zone."""
    for text in times(when):
        window_of(text)
    if time_zone:
        zone_of(time_zone)


def times(when: tuple[str, ...] | str) -> list[str]:
    """Return windows as a list."""
    return [when] if isinstance(when, str) and when else list(when)


class BusinessRules:
    """Decides which detections are allowed."""

    def __init__(self, rules: Sequence[BusinessRule], assets: Assets, zone: tzinfo = UTC) -> None:
        """Compile rules; `zone` is that of rules that name none."""
        self._rules = [_Compiled(rule, assets, zone) for rule in rules]

    def __len__(self) -> int:
        return len(self._rules)

    def apply(self, detections: list[Detection]) -> list[Detection]:
        """Return the detections; what a rule allows is lowered and says which and why."""
        return [self._judged(each) for each in detections] if self._rules else detections

    def _judged(self, detection: Detection) -> Detection:
        rule = next((rule.stated for rule in self._rules if rule.allows(detection)), None)
        return detection if rule is None else lowered(detection, rule)


def lowered(detection: Detection, rule: BusinessRule) -> Detection:
    """Return a detection that a rule allows, lowered, saying so."""
    why = f" ({rule.reason})" if rule.reason else ""
    said = f"allowed by {rule.name}{why}, it would be {detection.severity}"
    evidence = msgspec.structs.replace(
        detection.evidence,
        summary=f"{detection.evidence.summary.rstrip('. ')}; {said}",
        measures=detection.evidence.measures | {"score_unless_allowed": detection.score},
    )
    return msgspec.structs.replace(
        detection,
        severity="informational",
        score=min(detection.score, ALLOWED_SCORE),
        probability=min(detection.probability, ALLOWED_PROBABILITY),
        evidence=evidence,
    )


class _Compiled:
    """Is a rule ready to be asked."""

    def __init__(self, rule: BusinessRule, assets: Assets, zone: tzinfo) -> None:
        self.stated = rule
        self._who, self._whom = Party(rule.who, assets), Party(rule.whom, assets)
        self._zone = zone_of(rule.time_zone) if rule.time_zone else zone
        self._windows = [window_of(text) for text in times(rule.when)]

    def allows(self, detection: Detection) -> bool:
        """Tell whether all of a detection is allowed, from its first flow to its last."""
        return (
            self._names(detection)
            and self._who.holds(detection.orig)
            and self._whom.holds(detection.resp)
            and (not self._windows or (self._is_open(detection.begin) and self._is_open(detection.end)))
        )

    def _names(self, detection: Detection) -> bool:
        category, kind = detection.category, family(detection.category).name
        stated = {kind, f"category:{category}"}
        for technique in detection.techniques:
            stated |= {technique.id, technique.id.partition(".")[0]}
        return not stated.isdisjoint(self.stated.what)

    def _is_open(self, at: int) -> bool:
        local = local_time(at, self._zone)
        return any(window(local) for window in self._windows)


class Party:
    """Tells whether an address is meant; roles count as the owner of the network gives them, never inferred ones."""

    def __init__(self, texts: Sequence[str], assets: Assets) -> None:
        """Compile texts such as 10.0.0.0/8 and role:backup."""
        self._assets = assets
        self._is_unnamed = "any" in texts or "unnamed" in texts
        self._places = [PLACES[text] for text in texts if text in PLACES]
        self._words = {text for text in texts if PARTY.fullmatch(text)}
        others = (text for text in texts if text not in PLACES and text not in self._words)
        self._networks = [ip_network(text, strict=False) for text in others]

    def holds(self, address: str | None) -> bool:
        """Tell whether an address belongs to it; a finding that names nobody concerns `any` and `unnamed`."""
        if address is None:
            return self._is_unnamed
        if any(place(address) for place in self._places) or self._is_described(address):
            return True
        parsed = parse_address(address)
        return any(parsed.version == each.version and parsed in each for each in self._networks if parsed is not None)

    def _is_described(self, address: str) -> bool:
        asset = self._assets.find(address) if self._words else None
        if asset is None:
            return False
        words = {f"role:{role}" for role in asset.roles} | {f"name:{asset.name}", f"owner:{asset.owner}"}
        return not words.isdisjoint(self._words)
