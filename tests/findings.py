"""Makes detections for tests."""

from __future__ import annotations

from collections.abc import Iterable

from infraspectre.cortex import Cortex
from infraspectre.intel.assets import Assets
from infraspectre.records import Detection, Evidence, Incident, Severity, Technique

SECOND = 1_000_000_000
START = 1_763_640_000 * SECOND


def finding(
    number: int,
    orig: str | None = "10.0.0.9",
    resp: str | None = "10.0.0.5",
    *,
    category: str = "port_scan",
    detector: str | None = None,
    severity: Severity = "medium",
    score: float = 0.7,
    at: float = 0.0,
    lasting: float = 0.0,
    techniques: tuple[str, ...] = ("T1046",),
    evidence: Evidence | None = None,
) -> Detection:
    """Make a detection that became sure `at` seconds after the start, of behaviour that began `lasting` before."""
    return Detection(
        detection_id=f"{number:020}",
        at=START + int(at * SECOND),
        detector=detector or category,
        category=category,
        severity=severity,
        score=score,
        probability=score,
        flow_ids=[number],
        orig=orig,
        resp=resp,
        techniques=[Technique(each, each) for each in techniques],
        evidence=evidence or Evidence(f"finding {number} with 12 flows", {"flows": 12.0}, {"flows": 3.0}, [number]),
        first_seen=START + int((at - lasting) * SECOND),
        last_seen=START + int(at * SECOND),
    )


def correlated(detections: Iterable[Detection], assets: Assets | None = None) -> list[Incident]:
    """Return the latest telling of each incident that is made of detections."""
    cortex = Cortex(assets=assets)
    told = cortex.correlate(list(detections)) + cortex.finish()
    return list({each.incident_id: each for each in told if each.merged_into is None}.values())
