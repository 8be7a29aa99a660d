"""Signatures that matched: alerts of rules become detections, gathered by rule and by the two hosts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import polars as pl

from infraspectre.intel.attack import technique_called
from infraspectre.records import Detection, Technique
from infraspectre.records.address import parse_address
from infraspectre.records.times import from_datetime
from infraspectre.records.words import plural
from infraspectre.soma.detector import Case, Casebook, Finding

Alert = dict[str, Any]
"""An alert as an object of Suricata's EVE."""


class SignatureSettings(msgspec.Struct, frozen=True):
    """Sets how suspicious alerts are."""

    priority_scores: tuple[float, ...] = (0.75, 0.55, 0.35)
    """Scores of the priorities 1 to 3: Suricata's classes give 1 to attacks that succeed and 3 to mere oddities."""
    other_score: float = 0.2
    """Score of a lower priority."""
    unsure_factors: tuple[tuple[str, float], ...] = (("medium", 0.9), ("low", 0.75))
    """Factors for the confidence in a rule's metadata, as Emerging Threats state it."""
    capacity: int = 65_536
    """Cases kept."""


class Scope(NamedTuple):
    """Identifies which rule matched between whom."""

    gid: int
    sid: int
    orig: str | None
    resp: str | None


class SignatureCase(Case):
    """Counts the alerts of a rule and keeps what it says about itself."""

    def __init__(self) -> None:
        """Start with no alert."""
        super().__init__()
        self.alerts = 0
        self.rule: Alert = {}


class Signatures:
    """Turns alerts into detections as the flows reach the time at which they were raised."""

    name = "signatures"
    columns = frozenset[str]()
    helpful = frozenset[str]()

    def __init__(self, alerts: Iterable[Alert], settings: SignatureSettings | None = None) -> None:
        """Take alerts in the order in which they were raised."""
        self._settings = settings or SignatureSettings()
        self._alerts = iter(alerts)
        self._early: list[Alert] = []
        """The alert that was raised after the flows so far, if one was read."""
        self._book: Casebook[Scope, SignatureCase] = Casebook(
            self.name, self._settings.capacity, SignatureCase, self._judge
        )

    def detect(self, frame: pl.DataFrame) -> list[Detection]:
        """Return rules that newly matched between two hosts, or ten times as often, up to the end of these flows."""
        ended_at: list[int] = frame.select(pl.col("ended_at").max()).to_series().drop_nulls().to_list()
        return self._book.review([self._absorb(alert) for end in ended_at for alert in self._taken(end)])

    def finish(self) -> list[Detection]:
        """Return what all further alerts add, and what grew since its last report."""
        return self._book.review([self._absorb(alert) for alert in self._taken(None)]) + self._book.close()

    def _taken(self, until: int | None) -> Iterator[Alert]:
        """Yield the alerts up to a time, or all."""
        while alert := self._early.pop() if self._early else next(self._alerts, None):
            if until is not None and raised_at(alert) > until:
                self._early.append(alert)
                return
            yield alert

    def _absorb(self, alert: Alert) -> Scope:
        rule = alert["alert"]
        scope = Scope(rule["gid"], rule["signature_id"], *ends(alert))
        case = self._book[scope]
        flow_id, packet, at = alert.get("flow_id"), alert.get("pcap_cnt"), raised_at(alert)
        flow_ids = [flow_id] if flow_id is not None and flow_id not in case.flow_ids else []
        packets = [packet] if packet is not None else []
        row = {"first_seen": at, "last_seen": at, "flows": len(flow_ids), "flow_ids": flow_ids, "packets": packets}
        case.absorb(row)
        case.show([rule.get("signature")])
        case.alerts += 1
        case.rule = rule
        return scope

    def _judge(self, scope: Scope, case: SignatureCase) -> Finding | None:
        rule, message = case.rule, next(iter(case.examples), "")
        between = " and ".join(host for host in (scope.orig, scope.resp) if host) or "unknown hosts"
        return Finding(
            category="signature",
            techniques=tuple(techniques(rule.get("metadata") or {})),
            score=self._score(rule),
            orig=scope.orig,
            resp=scope.resp,
            summary=f"rule {scope.gid}:{scope.sid} ({message}) raised {plural(case.alerts, 'alert')} between {between}",
            size=case.alerts,
            measures={"alerts": case.alerts, "gid": scope.gid, "sid": scope.sid, "priority": rule.get("severity", 3)},
            thresholds={"alerts": 1},
            rule=f"{scope.gid}:{scope.sid}",
        )

    def _score(self, rule: Alert) -> float:
        scores, priority = self._settings.priority_scores, rule.get("severity", 3)
        score = scores[priority - 1] if 1 <= priority <= len(scores) else self._settings.other_score
        stated = (rule.get("metadata") or {}).get("confidence", [""])[0]
        return score * dict(self._settings.unsure_factors).get(stated.lower(), 1.0)


def raised_at(alert: Alert) -> int:
    """Return the time of an alert in nanoseconds since the epoch."""
    return from_datetime(datetime.fromisoformat(alert["timestamp"]))


def ends(alert: Alert) -> tuple[str | None, str | None]:
    """Return the originator and the responder: those of the flow, whatever the direction of the packet."""
    if (flow := alert.get("flow") or {}).get("src_ip"):
        return host(flow["src_ip"]), host(flow.get("dest_ip"))
    source, destination = host(alert.get("src_ip")), host(alert.get("dest_ip"))
    return (destination, source) if alert.get("direction") == "to_client" else (source, destination)


def host(text: str | None) -> str | None:
    """Return an address as flows write it (RFC 5952); EVE writes all digits of IPv6."""
    return text and str(parse_address(text) or text)


def techniques(metadata: dict[str, list[str]]) -> Iterator[Technique]:
    """Yield the ATT&CK techniques in a rule's metadata; an unknown one keeps its name there."""
    names = metadata.get("mitre_technique_name", [])
    for index, identity in enumerate(metadata.get("mitre_technique_id", [])):
        yield technique_called(identity, names[index].replace("_", " ") if index < len(names) else identity)
