"""The analyst of the demonstration, who knows which attacks were played and judges some of the incidents by it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from threading import Event

import httpx
import structlog

from infraspectre.client import Client, ProblemError, pages
from infraspectre.client.operations import IncidentSummary, NewVerdict
from infraspectre.records.times import NANOSECONDS, from_datetime
from infraspectre.serving.demo.traffic import Attack

EVERY_S = 5.0
OLD_S = 2 * 3_600.0
"""An incident is judged once it was over for so long: what happens now is left to whoever looks at the console."""
LEFT_OUT = 4
"""One incident in so many is never judged."""
SLACK_S = 60.0

logger = structlog.get_logger(__name__)


class Analyst:
    """Gives verdicts on incidents that are over, and leaves out some."""

    def __init__(self, url: str, user: str, password: str, attacks: Callable[[], Sequence[Attack]]) -> None:
        """Judge at a platform by the attacks that were played."""
        self._url, self._attacks = url, attacks
        self._login = {"user": user, "password": password}
        self.judged = 0

    def work(self, stopped: Event, now: Callable[[], int]) -> None:
        """Judge from time to time until stopped; what fails is tried again the next time."""
        while not stopped.wait(EVERY_S):
            try:
                self.judge(now())
            except (ProblemError, httpx.HTTPError) as error:
                logger.warning("the analyst could not judge", reason=str(error))

    def judge(self, now: int) -> None:
        """Judge what is to be judged at a time."""
        session = httpx.post(f"{self._url}/api/v1/sessions", json=self._login).raise_for_status().json()
        with Client(self._url, session["access_token"]) as client:
            for incident in list(due(pages(client.list_incidents, filter=["status=new"]), now)):
                with suppress(ProblemError):  # it was merged or judged meanwhile
                    client.give_verdict(incident.incident_id, verdict_of(incident, self._attacks()))
                    self.judged += 1


def due(incidents: Iterator[IncidentSummary], now: int) -> Iterator[IncidentSummary]:
    """Yield the incidents that are to be judged."""
    for incident in incidents:
        is_over = time_of(incident.last_seen) + OLD_S * NANOSECONDS < now
        if is_over and hashlib.sha256(incident.incident_id.encode()).digest()[0] % LEFT_OUT:
            yield incident


def verdict_of(incident: IncidentSummary, attacks: Sequence[Attack]) -> NewVerdict:
    """Return what an incident was: an attack if one was played then by or against one of its hosts."""
    slack = round(SLACK_S * NANOSECONDS)
    first, last = time_of(incident.first_seen) - slack, time_of(incident.last_seen) + slack
    shown = [
        each.name
        for each in attacks
        if each.first_seen <= last and each.last_seen >= first and len(each.hosts.intersection(incident.entities)) > 1
    ]
    if shown:
        return NewVerdict("true_positive", f"Part of the exercise: {', '.join(dict.fromkeys(shown))}.")
    return NewVerdict("benign", "Nothing was played then; it is the usual work of this office.")


def time_of(text: str) -> int:
    """Return a time of the API in nanoseconds since the epoch."""
    return from_datetime(datetime.fromisoformat(text))
