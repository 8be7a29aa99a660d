"""Writes the boards of Grafana from what `boards.yaml` says of each panel."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import msgspec

FOLDER = Path(__file__).resolve().parent.parent / "deploy" / "grafana" / "boards"
SOURCE = {"type": "prometheus", "uid": "${source}"}
WIDTH, HEIGHT, COLUMNS = 8, 8, 24


class Panel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Is a chart: its title says what it shows, each question has a legend."""

    title: str
    unit: str
    questions: dict[str, str]
    """Expressions by their legends."""
    about: str = ""
    kind: Literal["timeseries", "stat"] = "timeseries"
    limits: tuple[float, ...] = ()
    """From which values on it is amber, then red."""


class Board(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Is a page of charts."""

    title: str
    panels: list[Panel]


BOARDS = msgspec.yaml.decode(Path(__file__).with_suffix(".yaml").read_bytes(), type=dict[str, Board])


def board(name: str) -> dict[str, Any]:
    """Return a board as Grafana takes it (dashboard JSON model, schema version 39)."""
    chosen = BOARDS[name]
    return {
        "uid": f"infraspectre-{name}",
        "title": chosen.title,
        "tags": ["infraspectre"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "refresh": "30s",
        "timezone": "utc",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [{"name": "source", "label": "Source", "type": "datasource", "query": "prometheus"}]},
        "panels": [chart(number, panel) for number, panel in enumerate(chosen.panels)],
    }


def chart(number: int, panel: Panel) -> dict[str, Any]:
    """Return a panel at its place: three beside each other."""
    colours = ("green", "orange", "red")
    steps: list[dict[str, Any]] = [{"color": colours[0], "value": None}]
    steps += [{"color": colour, "value": value} for colour, value in zip(colours[1:], panel.limits, strict=False)]
    per_row = COLUMNS // WIDTH
    return {
        "id": number + 1,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": SOURCE,
        "gridPos": {"x": number % per_row * WIDTH, "y": number // per_row * HEIGHT, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "min": 0, "thresholds": {"mode": "absolute", "steps": steps}},
            "overrides": [],
        },
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}} if panel.kind == "timeseries" else {},
        "targets": [
            {"refId": chr(ord("A") + place), "datasource": SOURCE, "expr": expression, "legendFormat": legend}
            for place, (legend, expression) in enumerate(panel.questions.items())
        ],
    }


def texts() -> dict[str, str]:
    """Return each board as JSON, by the name of its file."""
    return {f"{name}.json": json.dumps(board(name), indent=2) + "\n" for name in BOARDS}


def main() -> None:
    """Rewrite the boards."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in texts().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
