"""Decisions: an incident with its score, its explanation and a response plan."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from infraspectre.intel.calibration import calibration
from infraspectre.records import Decision, Detection, Incident, Level
from infraspectre.records.detection import SEVERITIES
from infraspectre.records.times import earliest
from infraspectre.reflex.counterfactual import changes
from infraspectre.reflex.explain import explain
from infraspectre.reflex.likelihood import probability
from infraspectre.reflex.playbooks import Playbooks
from infraspectre.reflex.score import ReflexSettings, level_of, parts_of, threat_score


class Reflex:
    """Judges incidents; it keeps no state between them."""

    def __init__(
        self,
        settings: ReflexSettings | None = None,
        playbook_folder: Path | None = None,
        *,
        on_platform: bool = False,
    ) -> None:
        """Load the playbooks, those of the folder or of the settings before those of the package; raises InputError.

        On a platform, plans say how its API shows the rows, else how to ask `flows.parquet`.
        """
        self.settings = settings or ReflexSettings()
        own = Path(self.settings.playbooks) if self.settings.playbooks else None
        self._playbooks = Playbooks.load(playbook_folder or own, on_platform=on_platform)

    def decide(self, incident: Incident) -> Decision:
        """Judge one incident."""
        score = threat_score(incident, incident.detections, self.settings)
        incident = msgspec.structs.replace(
            incident,
            raised_at=self._reached_at(incident, score.level),
            detected_at=self._detected_at(incident, score.level),
        )
        likely = probability(incident.detections, calibration())
        return Decision(
            incident=incident,
            threat_score=score,
            probability=round(min(likely, self.settings.largest_probability), 4),
            explanation=msgspec.structs.replace(explain(incident, score), changes=changes(incident, self._level)),
            response_plan=self._playbooks.plan(incident, score.level),
        )

    def doubt(self, decision: Decision, lost: float) -> Decision:
        """Widen the interval of a decision, since a share of the traffic was lost."""
        incident = decision.incident
        score = threat_score(incident, incident.detections, self.settings, lost)
        return msgspec.structs.replace(decision, threat_score=score)

    def _detected_at(self, incident: Incident, level: Level) -> int | None:
        """Find the event time at which an incident first was of medium level; graver reports replaced earlier ones.

        A finding of medium severity alone makes the composite score medium, not the learnt one.
        """
        if SEVERITIES.index(level) < SEVERITIES.index("medium"):
            return None
        known = incident.detected_at if self.settings.scorer == "composite" else None
        return earliest((known, self._reached_at(incident, "medium")))

    def _reached_at(self, incident: Incident, level: Level) -> int:
        """Find the event time at which the detections known by then gave the level; each of them only adds."""
        known = sorted(incident.detections, key=lambda each: (each.at, each.detection_id))
        few, enough = 0, len(known)
        while enough - few > 1:
            middle = (few + enough) // 2
            few, enough = (few, middle) if self._reaches(incident, known[:middle], level) else (middle, enough)
        return known[enough - 1].at

    def _reaches(self, incident: Incident, known: list[Detection], level: Level) -> bool:
        return SEVERITIES.index(self._level(incident, known)) >= SEVERITIES.index(level)

    def _level(self, incident: Incident, known: Sequence[Detection]) -> Level:
        return level_of(parts_of(incident, known, self.settings), self.settings.thresholds)
