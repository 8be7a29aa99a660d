"""Playbooks: YAML files that say what to do about a family of incidents; nothing in them is ever executed here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from importlib.resources import as_file, files
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from string import Template
from typing import Literal, get_args

import msgspec

from infraspectre.errors import InputError
from infraspectre.intel.documents import read_yaml
from infraspectre.intel.families import FAMILIES, OTHER, family
from infraspectre.records import Detection, Incident, Level, ResponsePlan, ResponseStep
from infraspectre.records.address import is_inside, parse_address
from infraspectre.records.detection import SEVERITIES

Kind = Literal["investigate", "contain", "eradicate", "recover", "notify"]
KINDS = get_args(Kind)
Target = Literal["actor", "target", "incident"]

COMMON_FIELDS = {"flows", "begin", "end"}
ADDRESS_FIELDS = {"address", "family"}
MOST_TARGETS = 3
"""A step for each actor or target is written for the first few of them."""
MOST_NAMED = 12
"""Further ones are named in one step; the rest is counted."""
PRIORITIES: dict[Level, str] = {"informational": "P5", "low": "P4", "medium": "P3", "high": "P2", "critical": "P1"}


class PlaybookStep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Describes one step; its command may hold `$address`, `$family` (ip or ip6), `$flows`, `$begin` and `$end`."""

    title: str
    kind: Kind
    target: Target = "incident"
    command: str = ""
    where: Literal["anywhere", "inside", "outside"] = "anywhere"
    """Whether the step is for addresses of the site or for others."""
    from_level: Level = "informational"

    def __post_init__(self) -> None:
        """Refuse a command with placeholders that cannot be filled; raises ValueError."""
        command, known = (
            Template(self.command),
            COMMON_FIELDS | (ADDRESS_FIELDS if self.target != "incident" else set()),
        )
        unknown = sorted(set(command.get_identifiers()) - known)
        if unknown or not command.is_valid():
            raise ValueError(
                f"wrong placeholder ${' $'.join(unknown)}; there are ${', $'.join(sorted(known))}, and $$ for $"
            )


class Playbook(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Describes the response to some families of incidents."""

    name: str
    families: list[str]
    steps: list[PlaybookStep]

    def __post_init__(self) -> None:
        """Refuse families that do not exist; raises ValueError."""
        known = {each.name for each in (*FAMILIES, OTHER)}
        if not known.issuperset(self.families):
            raise ValueError(
                f"no family {', '.join(sorted(set(self.families) - known))}; there are {', '.join(sorted(known))}"
            )


class Playbooks:
    """Chooses a playbook for an incident and fills it in."""

    def __init__(self, playbooks: list[Playbook]) -> None:
        """Take playbooks; for a family that several name, the first counts."""
        self._by_family: dict[str, Playbook] = {}
        for playbook in playbooks:
            for name in playbook.families:
                self._by_family.setdefault(name, playbook)

    @classmethod
    def load(cls, folder: Path | None = None) -> Playbooks:
        """Read the playbooks of a folder and then those of the package; raises InputError naming file and line."""
        with as_file(files("infraspectre.reflex") / "playbook_files") as own:
            return cls([*(_read_folder(folder) if folder else ()), *_read_folder(own)])

    def plan(self, incident: Incident, level: Level) -> ResponsePlan:
        """Write the response plan of an incident: the steps of all its playbooks, by kind, each once."""
        playbooks = self._choose(incident)
        written: dict[ResponseStep, None] = {}
        for playbook in playbooks:
            meant = [each for each in incident.detections if family(each.category).name in playbook.families]
            scene = Scene(incident, meant or incident.detections)
            for template in playbook.steps:
                if _applies(template, level):
                    written |= dict.fromkeys(scene.fill(template))
        steps = sorted(written, key=lambda step: KINDS.index(step.kind))
        return ResponsePlan("; ".join(playbook.name for playbook in playbooks), PRIORITIES[level], steps)

    def _choose(self, incident: Incident) -> list[Playbook]:
        """Choose by the families of the detections, that of the worst first; none twice."""
        ranked = sorted(
            incident.detections, key=lambda d: (-SEVERITIES.index(d.severity), -d.score, d.at, d.detection_id)
        )
        names = [name for name in (family(each.category).name for each in ranked) if name in self._by_family]
        chosen = {self._by_family[name].name: self._by_family[name] for name in names or [OTHER.name]}
        return list(chosen.values())


def _read_folder(folder: Path) -> Iterable[Playbook]:
    if not folder.is_dir():
        raise InputError("is not a folder of playbooks", path=folder)
    return (read_yaml(path, Playbook) for path in sorted(folder.glob("*.yaml")))


def _applies(step: PlaybookStep, level: Level) -> bool:
    return SEVERITIES.index(level) >= SEVERITIES.index(step.from_level)


class Scene:
    """Fills templates with what is known about an incident: nothing but addresses, numbers and times."""

    def __init__(self, incident: Incident, detections: Sequence[Detection]) -> None:
        """Take an incident, and those of its detections that the playbook is meant for."""
        self._addresses = {
            "actor": _parsed(each.orig for each in detections),
            "target": _parsed(each.resp for each in detections),
        }
        self._common = {
            "flows": ", ".join(str(flow) for each in incident.detections[:8] for flow in each.flow_ids[:8]) or "NULL",
            "begin": _timestamp(incident.first_seen),
            "end": _timestamp(incident.last_seen),
        }

    def fill(self, step: PlaybookStep) -> Iterator[ResponseStep]:
        """Write a step once, or for each of its first few targets."""
        command = Template(step.command)
        if step.target == "incident":
            yield ResponseStep(step.title, step.kind, "", command.substitute(self._common))
            return
        wanted = self._wanted(step)
        for address in wanted[:MOST_TARGETS]:
            names = {"address": str(address), "family": "ip" if address.version == 4 else "ip6"}
            yield ResponseStep(step.title, step.kind, str(address), command.substitute(self._common, **names))
        if rest := wanted[MOST_TARGETS:]:
            more = f" and {len(rest) - MOST_NAMED} more" if len(rest) > MOST_NAMED else ""
            yield ResponseStep(f"{step.title}: likewise {', '.join(map(str, rest[:MOST_NAMED]))}{more}", step.kind)

    def _wanted(self, step: PlaybookStep) -> list[IPv4Address | IPv6Address]:
        found = self._addresses[step.target]
        return (
            found
            if step.where == "anywhere"
            else [ip for ip in found if is_inside(str(ip)) == (step.where == "inside")]
        )


def _parsed(texts: Iterable[str | None]) -> list[IPv4Address | IPv6Address]:
    """Parse addresses, each once; what is no address, or names a zone, is left out: it must not reach a command."""
    parsed = (parse_address(text) for text in dict.fromkeys(texts) if text and "%" not in text)
    return [ip for ip in parsed if ip is not None]


def _timestamp(at: int) -> str:
    return datetime.fromtimestamp(at // 1_000_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")
