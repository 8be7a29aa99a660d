"""What a scenario is: a function that plays a story, and the options it takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, get_args, get_origin, get_type_hints

from infraspectre.simulation.results import SimulationResult

Value = bool | int | float | str

LIMITS: dict[str, tuple[float, float]] = {
    "answers": (1, 1_000_000),
    "attacks": (0, 100),
    "attempts": (1, 100_000),
    "bots": (1, 100),
    "duration_s": (10, 86_400),
    "hosts": (1, 300),
    "intensity": (0.05, 20),
    "jitter": (0, 1),
    "megabytes": (0.001, 500),
    "packets": (1, 100_000_000),
    "pieces": (1, 10_000),
    "period_s": (0.1, 86_400),
    "port": (1, 65_535),
    "ports": (1, 65_535),
    "reflectors": (1, 100),
    "requests": (1, 1_000_000),
    "scale": (0.001, 2),
    "skip": (0, 0.95),
    "targets": (1, 200),
    "tries": (1, 100_000),
}
"""Least and most of every option that is a number; they bound memory and time, and keep flows inside timeouts."""


class Played(Protocol):
    """Holds a story that was played and can be written down."""

    def write(self, out: Path, scenario: str, seed: int, options: Mapping[str, object]) -> SimulationResult:
        """Write the capture and its truth into a folder."""
        ...


@dataclass(frozen=True)
class Scenario:
    """Describes one scenario; its options are the keyword arguments of the function that plays it."""

    play: Callable[..., Played]

    @property
    def name(self) -> str:
        """Return the name used on the command line."""
        return self.play.__name__.replace("_", "-")

    @property
    def description(self) -> str:
        """Return one line about the scenario."""
        return (inspect.getdoc(self.play) or "").partition("\n")[0]

    @property
    def options(self) -> dict[str, Value]:
        """Return the options with their defaults."""
        parameters = inspect.signature(self.play).parameters.values()
        return {each.name: each.default for each in parameters if each.kind is each.KEYWORD_ONLY}

    def choices(self, option: str) -> tuple[str, ...]:
        """Return the words an option can be; empty if it is not one of a few words."""
        kind = get_type_hints(self.play)[option]
        return get_args(kind) if get_origin(kind) is Literal else ()

    def complete(self, given: Mapping[str, object]) -> dict[str, Value]:
        """Check options, read texts as the type of the default, and add the defaults; raises ValueError."""
        unknown = sorted(set(given) - set(self.options))
        if unknown:
            known = ", ".join(self.options)
            raise ValueError(f"scenario {self.name} has no option {', '.join(unknown)}; it has {known}")
        return {name: self._read(name, given.get(name, default)) for name, default in self.options.items()}

    def _read(self, name: str, value: object) -> Value:
        default, choices = self.options[name], self.choices(name)
        if isinstance(default, bool):
            return _read_bool(name, value)
        if isinstance(default, (int, float)):
            return _read_number(name, value, type(default))
        if choices and value not in choices:
            raise ValueError(f"{name} must be one of {', '.join(choices)}, not {value!r}")
        return str(value)


def _read_bool(name: str, value: object) -> bool:
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    try:
        return words[str(value).lower()]
    except KeyError:
        raise ValueError(f"{name} must be true or false, not {value!r}") from None


def _read_number(name: str, value: object, kind: type[int] | type[float]) -> int | float:
    try:
        number = kind(str(value))
    except ValueError:
        raise ValueError(f"{name} must be a number, not {value!r}") from None
    least, most = LIMITS[name]
    if not least <= number <= most:
        raise ValueError(f"{name} must be {least:,} to {most:,}, not {value!r}")
    return number
