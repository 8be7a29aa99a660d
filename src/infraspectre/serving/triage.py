"""Triage: what people decide about incidents, kept beside what the platform found and told to all who listen."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from infraspectre.errors import ConflictError, InputError
from infraspectre.ports import Stored
from infraspectre.records.access import Principal
from infraspectre.records.collections import INCIDENTS, VERDICTS
from infraspectre.records.feed import NOTICES_TOPIC, FeedEvent
from infraspectre.records.queries import Filter, Order, Query
from infraspectre.records.times import rfc3339
from infraspectre.serving.platform import Platform

Status = Literal["new", "open", "closed"]
Verdict = Literal["true_positive", "benign", "false_positive", "unsure"]
"""true_positive: hostile; benign: it happened, and is allowed; false_positive: it did not happen; unsure: not known."""
BEFORE = "status_before"
"""What a kept verdict calls the status that its incident had until then."""
ATTEMPTS = 8
"""How often a change is tried anew because somebody else changed the record meanwhile."""


class Triage:
    """Changes what people decide about the incidents of a tenant."""

    def __init__(self, platform: Platform, principal: Principal) -> None:
        """Act on behalf of somebody."""
        self._platform, self._principal = platform, principal

    def change(self, incident_id: str, changes: Mapping[str, Any], expected: int | None = None) -> Stored:
        """Change fields of an incident; raises ConflictError where it is not at the expected revision."""
        stored = self._written(incident_id, changes, expected)
        self._tell("incident.changed", incident_id, dict(changes))
        return stored

    def judge(self, incident_id: str, verdict: Verdict, comment: str = "") -> dict[str, Any]:
        """Keep a verdict, the last of which counts; one that is sure closes the incident."""
        given = {
            "incident_id": incident_id,
            "verdict": verdict,
            "comment": comment,
            "by": self._principal.subject,
            "at": self._platform.clock.now(),
        }
        verdict_id = secrets.token_hex(10)
        kept = given | {BEFORE: self._record(incident_id)["status"]}
        self._platform.records.put(self._principal.tenant, VERDICTS, verdict_id, kept)
        status = {} if verdict == "unsure" else {"status": "closed"}
        self._written(incident_id, {"verdict": verdict, **status}, None)
        self._tell("verdict.given", incident_id, given | {"verdict_id": verdict_id})
        return _shown(verdict_id, given)

    def withdraw(self, incident_id: str, verdict_id: str) -> None:
        """Take a verdict back, as if it had never been given: the one before it counts again, or none.

        An incident that it closed is what it was before. Raises InputError where there is no such verdict.
        """
        records, tenant = self._platform.records, self._principal.tenant
        stored = records.get(tenant, VERDICTS, verdict_id)
        given = msgspec.json.decode(stored.body) if stored else {}
        last = self._last_verdict(incident_id)
        if given.get("incident_id") != incident_id or not records.delete(tenant, VERDICTS, verdict_id):
            raise InputError("there is no such verdict", field="verdict_id")
        changes = {"verdict": self._last_verdict(incident_id).get("verdict", "")}
        has_closed = last["verdict_id"] == verdict_id and given["verdict"] != "unsure"
        if has_closed and self._record(incident_id)["status"] == "closed":
            changes["status"] = given.get(BEFORE, "open")
        self._written(incident_id, changes, None)
        self._tell("verdict.withdrawn", incident_id, {"verdict_id": verdict_id, **changes})

    def _last_verdict(self, incident_id: str) -> dict[str, Any]:
        """Return the verdict that counts; nothing where nobody gave any."""
        found, _ = self.verdicts(incident_id, Query(order=Order("at", descending=True), limit=1))
        return found[0] if found else {}

    def verdicts(self, incident_id: str, query: Query) -> tuple[list[dict[str, Any]], str | None]:
        """Return a page of what people said of an incident."""
        own = Filter("incident_id", "=", (incident_id,))
        asked = Query((own, *query.filters), query.order, query.limit, query.after)
        page = self._platform.records.page(self._principal.tenant, VERDICTS, asked)
        return [_shown(row.key, msgspec.json.decode(row.body)) for row in page.rows], page.next

    def change_many(self, incidents: Sequence[str], changes: Mapping[str, Any]) -> tuple[list[str], dict[str, str]]:
        """Change fields of many incidents; return those changed, and why others were not."""
        return _each(incidents, lambda each: self.change(each, changes))

    def judge_many(self, incidents: Sequence[str], verdict: Verdict, comment: str) -> tuple[list[str], dict[str, str]]:
        """Keep a verdict about each of many incidents; return those judged, and why others were not."""
        return _each(incidents, lambda each: self.judge(each, verdict, comment))

    def _written(self, incident_id: str, changes: Mapping[str, Any], expected: int | None) -> Stored:
        """Write changes into a record; without an expected revision it is tried anew after others' changes."""
        records, tenant = self._platform.records, self._principal.tenant
        for attempt in range(ATTEMPTS):
            stored = self._stored(incident_id)
            record = msgspec.json.decode(stored.body) | changes
            try:
                return records.put(tenant, INCIDENTS, incident_id, record, expected or stored.revision)
            except ConflictError:
                if expected is not None or attempt == ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")

    def _stored(self, incident_id: str) -> Stored:
        """Return the record of an incident as it is kept; raises InputError where there is none."""
        stored = self._platform.records.get(self._principal.tenant, INCIDENTS, incident_id)
        if stored is None:
            raise InputError("there is no such incident", field="incident_id")
        return stored

    def _record(self, incident_id: str) -> dict[str, Any]:
        record: dict[str, Any] = msgspec.json.decode(self._stored(incident_id).body)
        return record

    def _tell(self, kind: str, incident_id: str, data: Mapping[str, Any]) -> None:
        tell(self._platform, self._principal.tenant, kind, incident_id, {"by": self._principal.subject, **data})


def tell(platform: Platform, tenant: str, kind: str, subject: str, data: Mapping[str, Any]) -> None:
    """Tell all who listen that somebody did something about an incident."""
    told, at = msgspec.Raw(msgspec.json.encode(data)), rfc3339(platform.clock.now())
    event = FeedEvent(tenant, "threat", kind, at, subject=subject, data=told)
    platform.log.topic(NOTICES_TOPIC).append([msgspec.json.encode(event)]).result()


def _shown(verdict_id: str, given: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in given.items() if name != BEFORE}
    return {**shown, "verdict_id": verdict_id, "at": rfc3339(given["at"])}


def _each(incidents: Iterable[str], act: Any) -> tuple[list[str], dict[str, str]]:
    changed: list[str] = []
    failed: dict[str, str] = {}
    for each in dict.fromkeys(incidents):
        try:
            act(each)
            changed.append(each)
        except (InputError, ConflictError) as error:
            failed[each] = error.problem
    return changed, failed
