"""Incidents and decisions: detections joined into one story, scored, explained and answered with a plan."""

from __future__ import annotations

from ipaddress import ip_network

import msgspec

from infraspectre.records.detection import Detection, Severity

Level = Severity


class TacticTechnique(msgspec.Struct, frozen=True, order=True):
    """Names an ATT&CK technique together with the tactic it serves here."""

    id: str
    name: str
    tactic: str


class ThreatScore(msgspec.Struct, frozen=True):
    """Holds the composite score from 0 to 100, its 90% interval, its level and the parts it was made of."""

    value: float
    low: float
    high: float
    level: Level
    parts: dict[str, float] = {}


class Asset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Says what the owner of the network knows about an address or a network; None is unknown."""

    network: str
    """An address, or a network in CIDR notation."""
    name: str | None = None
    owner: str | None = None
    criticality: Level | None = None
    roles: list[str] = []
    """What it is for, such as dns-server, printer, scanner or backup."""
    seen_name: str | None = None
    """How it called itself at the time, in DHCP, NTLM, Kerberos or DNS."""
    seen_roles: list[str] = []
    """What traffic showed it to be for until then."""

    def __post_init__(self) -> None:
        """Refuse what is no network; raises ValueError."""
        ip_network(self.network, strict=False)


class Statement(msgspec.Struct, frozen=True, omit_defaults=True):
    """Says one sentence of an explanation and points to what proves it."""

    text: str
    flow_ids: list[int] = []
    packets: list[int] = []
    detection_ids: list[str] = []


class Attribution(msgspec.Struct, frozen=True):
    """Says how many points of the score one cause gave."""

    name: str
    points: float


class Explanation(msgspec.Struct, frozen=True):
    """Explains an incident: a summary, its steps in time order, and what the score is made of."""

    summary: str
    steps: list[Statement]
    attributions: list[Attribution]
    changes: list[Statement] = []
    """What would change the verdict: the findings on which it hangs, and what more would raise it."""


class ResponseStep(msgspec.Struct, frozen=True, omit_defaults=True):
    """Proposes one action of a response plan; nothing is done automatically."""

    title: str
    kind: str
    """investigate, contain, eradicate, recover, or notify."""
    target: str = ""
    command: str = ""
    automatic: bool = False
    queries: dict[str, str] = {}
    """The question of the command for other tools: zeek, suricata, splunk."""
    deadline_s: int = 0
    """Seconds after the incident was raised by which it should be done."""
    lease_s: int = 0
    """Seconds after which what it changed has to be undone, or approved anew; 0 for a step that changes nothing."""


class Escalation(msgspec.Struct, frozen=True):
    """Says whom to tell of an incident, within how many minutes, and why."""

    to: str
    within_minutes: int
    reason: str


class ResponsePlan(msgspec.Struct, frozen=True):
    """Proposes what to do about an incident, from a playbook."""

    playbook: str
    priority: str
    steps: list[ResponseStep]
    escalations: list[Escalation] = []


class Join(msgspec.Struct, frozen=True, omit_defaults=True):
    """Says why something belongs to an incident, or an incident to a campaign."""

    rule: str
    """The correlation rule that held."""
    why: str
    """The reason in one sentence."""
    shared: str
    """The entity, finding or indicator that both share."""
    at: int
    """Event time at which it became known, nanoseconds since the epoch."""
    detection_id: str
    """The detection with which it became known."""
    incident_id: str | None = None
    """The other incident, where two were joined or tied."""


class Progress(msgspec.Struct, frozen=True):
    """Says when a tactic was first seen in a campaign, and where."""

    tactic: str
    at: int
    incident_id: str
    detection_id: str


class Incident(msgspec.Struct, frozen=True):
    """Joins detections that tell one story; not yet scored."""

    incident_id: str
    first_seen: int
    last_seen: int
    raised_at: int
    """Event time at which it reached its level, in nanoseconds since the epoch."""
    title: str
    entities: list[str]
    """A few of who takes part: hosts, and domains by which far ends are called."""
    orig: list[str]
    """Who acted, most active first; at most a few are named."""
    resp: list[str]
    """Who was acted upon, most often first; at most a few are named."""
    techniques: list[TacticTechnique]
    detections: list[Detection]
    """The most telling detections, in time order."""
    detection_count: int = 0
    """All detections joined, also those no longer kept."""
    campaign_id: str | None = None
    """The first incident of the campaign, if several incidents are tied to one."""
    assets: dict[str, Asset] = {}
    """What is known about some of the entities."""
    entity_count: int = 0
    """All who take part in its kept findings, also those not named."""
    joins: list[Join] = []
    """Why its detections are one incident, and why it belongs to its campaign."""
    kill_chain: list[Progress] = []
    """The tactics of its campaign, or its own, in order of their first evidence."""
    merged_into: str | None = None
    """The incident that took it over; this one is not told any more."""
    detected_at: int | None = None
    """Event time at which it first was of medium level or above, in nanoseconds since the epoch; None if it never was.
    The mean of what passes from `first_seen` until then is the mean time to detect."""


class Decision(msgspec.Struct, frozen=True):
    """Judges an incident: how bad, how sure, why, and what to do."""

    incident: Incident
    threat_score: ThreatScore
    probability: float
    explanation: Explanation
    response_plan: ResponsePlan
