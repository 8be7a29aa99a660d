"""Writes the recording rules of the service level objectives: for each, the share of errors over each window."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

RULES = Path(__file__).resolve().parent.parent / "deploy" / "prometheus" / "recording.yaml"
WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
"""Those of the alerts by burn rate (Google SRE Workbook, chapter 5, table 5-8)."""
ANSWERS = 'http_server_request_duration_seconds_count{http_route=~"/api/.*"'
READS = '{http_request_method="GET",http_route=~"/api/.*",http_response_status_code=~"2.."'
SECONDS = "http_server_request_duration_seconds"
INCIDENTS = "infraspectre_detection_latency_seconds"
LOST = 'infraspectre_flows_total{outcome!~"processed|repeated|unfinished"}'
FLOWS = 'infraspectre_flows_total{outcome!~"repeated|unfinished"}'
SENSORS_LOST = "infraspectre_sensor_lost_flows_total"


class Objective(NamedTuple):
    """Says what share may go wrong, and how what goes wrong is counted; W stands for the window."""

    name: str
    budget: float
    about: str
    errors: str
    total: str


OBJECTIVES = (
    Objective(
        "availability",
        0.0005,
        "99.95% of requests are answered without a fault of the server.",
        f'sum(rate({ANSWERS},http_response_status_code=~"5.."}}[W])) or vector(0)',
        f"sum(rate({ANSWERS}}}[W]))",
    ),
    Objective(
        "read_latency",
        0.01,
        "99% of reads are answered within a quarter of a second.",
        f'sum(rate({SECONDS}_count{READS}}}[W])) - sum(rate({SECONDS}_bucket{READS},le="0.25"}}[W]))',
        f"sum(rate({SECONDS}_count{READS}}}[W]))",
    ),
    Objective(
        "detection_latency",
        0.05,
        "95% of incidents in live traffic are told within ten seconds of the last packet.",
        f'sum(rate({INCIDENTS}_count[W])) - sum(rate({INCIDENTS}_bucket{{le="10.0"}}[W]))',
        f"sum(rate({INCIDENTS}_count[W]))",
    ),
    Objective(
        "loss",
        0.001,
        "99.9% of flows are looked at; those that sensors or the worker shed are not.",
        f"(sum(rate({LOST}[W])) or vector(0)) + sum(rate({SENSORS_LOST}[W]))",
        f"sum(rate({FLOWS}[W])) + sum(rate({SENSORS_LOST}[W]))",
    ),
)


def text() -> str:
    """Return the file of rules."""
    return "".join(lines())


def lines() -> Iterator[str]:
    """Yield the lines of the file."""
    yield "# Written by tools/recording.py: service level objectives, and the share of errors over each window.\n"
    yield "groups:\n"
    for each in OBJECTIVES:
        yield f"  # {each.about}\n"
        yield f"  - name: infraspectre slo {each.name}\n    rules:\n"
        yield from rule("infraspectre:slo_budget:ratio", f"vector({each.budget})", each.name)
        for window in WINDOWS:
            ratio = f"({each.errors.replace('W', window)}) / ({each.total.replace('W', window)})"
            yield from rule(f"infraspectre:slo_errors:ratio_rate{window}", ratio, each.name)


def rule(name: str, expression: str, objective: str) -> Iterator[str]:
    """Yield the lines of a rule."""
    yield f"      - record: {name}\n        expr: >-\n          {expression}\n"
    yield f"        labels:\n          slo: {objective}\n"


if __name__ == "__main__":
    RULES.write_text(text(), encoding="utf-8")
