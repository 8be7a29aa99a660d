"""`infraspectre simulate`: labelled captures, to try detections on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from infraspectre.cli.options import DEFAULT, Common
from infraspectre.cli.output import note, print_json, print_table
from infraspectre.errors import UsageError


def simulate(
    scenario: str | None = None,
    /,
    *,
    out: Path | None = None,
    seed: int = 0,
    option: Annotated[list[str] | None, "--option", "-O"] = None,
    common: Common = DEFAULT,
) -> None:
    """Make a labelled capture of a benign or attack behaviour.

    The same scenario, seed and options give the same bytes. Without a scenario, the scenarios are listed.

    Parameters
    ----------
    scenario
        Name of the scenario.
    out
        Write `capture.pcap`, `labels.json` and `flows.csv` into this folder.
    seed
        Draw another variant of the scenario.
    option
        Set an option of the scenario, as name=value; may be repeated.
    """
    from infraspectre.simulation import SCENARIOS
    from infraspectre.simulation import simulate as play

    if scenario is None:
        return list_scenarios(common)
    if scenario not in SCENARIOS:
        raise UsageError(f"there is no scenario {scenario!r}", remedy="'infraspectre simulate' lists them")
    if out is None:
        raise UsageError("no folder given for the capture", remedy="name one with --out")
    try:
        result = play(scenario, out, seed, **dict(map(parsed, option or [])))
    except (ValueError, TypeError) as error:
        raise UsageError(str(error)) from error
    if common.json:
        print_json(result)
    elif not common.quiet:
        note(f"{result.packets:,} packets in {result.flows:,} flows written to {result.capture}")
    return None


def list_scenarios(common: Common) -> None:
    """Print the scenarios with a line on each."""
    from infraspectre.simulation import SCENARIOS

    described = {name: scenario.description for name, scenario in SCENARIOS.items()}
    if common.json:
        print_json(described)
    elif not common.quiet:
        print_table(["scenario", "shows"], list(described.items()))


def parsed(option: str) -> tuple[str, int | float | bool | str]:
    """Return the name and the value of an option given as name=value."""
    name, equals, value = option.partition("=")
    if not equals:
        raise UsageError(f"{option!r} is not name=value")
    return name.replace("-", "_"), typed(value)


def typed(value: str) -> int | float | bool | str:
    """Return a value as the number or truth value that its text stands for."""
    import re

    if value.lower() in ("true", "false"):
        return value.lower() == "true"
    if re.fullmatch(r"[+-]?\d+", value):
        return int(value)
    if re.fullmatch(r"[+-]?\d*\.\d+", value):
        return float(value)
    return value
