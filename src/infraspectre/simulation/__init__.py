"""Seeded, labelled captures of benign and hostile behaviour, to learn whether a sensor sees it."""

from __future__ import annotations

from pathlib import Path

from infraspectre.simulation.results import SimulationResult
from infraspectre.simulation.scenarios import SCENARIOS, Scenario


def simulate(scenario: str, out: Path, seed: int = 0, **options: object) -> SimulationResult:
    """Play a scenario and write `capture.pcap`, `labels.json` and `flows.csv` into a folder.

    The same scenario, seed and options give the same bytes. Raises ValueError for an unknown scenario or option.
    """
    if scenario not in SCENARIOS:
        raise ValueError(f"there is no scenario {scenario!r}; there are {', '.join(SCENARIOS)}")
    chosen = SCENARIOS[scenario]
    complete = chosen.complete(options)
    return chosen.play(f"{scenario}/{seed}", **complete).write(Path(out), scenario, seed, complete)


__all__ = ["SCENARIOS", "Scenario", "SimulationResult", "simulate"]
