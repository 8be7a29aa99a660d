"""Playbooks: YAML files that say what to do about a family of incidents; nothing in them is ever executed here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from importlib.resources import as_file, files
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from string import Template
from typing import Literal, NamedTuple, get_args

import msgspec

from infraspectre.documents import Document, read_document
from infraspectre.errors import InputError
from infraspectre.intel.families import FAMILIES, OTHER, family
from infraspectre.records import Detection, Incident, Level, ResponsePlan, ResponseStep
from infraspectre.records.address import is_inside, parse_address
from infraspectre.records.detection import SEVERITIES
from infraspectre.reflex.escalation import FILE as ESCALATION
from infraspectre.reflex.escalation import EscalationRule, escalations, load_escalation
from infraspectre.reflex.queries import queries

Kind = Literal["investigate", "contain", "eradicate", "recover", "notify"]
KINDS = get_args(Kind)
Target = Literal["actor", "target", "incident"]

COMMON_FIELDS = {"incident", "flows", "begin", "end", "begin_s", "end_s"}
ADDRESS_FIELDS = {"address", "family"}
MOST_TARGETS = 3
"""A step for each actor or target is written for the first few of them."""
MOST_NAMED = 12
"""Further ones are named in one step; the rest is counted."""
PRIORITIES: dict[Level, str] = {"informational": "P5", "low": "P4", "medium": "P3", "high": "P2", "critical": "P1"}
HOUR_S = 3_600
FIRST_DEADLINES_S: dict[Level, int] = {
    "informational": 72 * HOUR_S,
    "low": 24 * HOUR_S,
    "medium": 8 * HOUR_S,
    "high": HOUR_S,
    "critical": HOUR_S // 4,
}
"""By when the first steps should be done, by level: as service levels of security operations usually say."""
DEADLINE_FACTORS: dict[Kind, int] = {"investigate": 1, "contain": 1, "notify": 2, "eradicate": 8, "recover": 24}
"""How many times as long other kinds of steps may take."""
LEASES_S: dict[Kind, int] = {"contain": 24 * HOUR_S}
"""How long the effect of a step lasts unless it is approved anew; other kinds leave nothing that could stick."""


class PlaybookStep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Describes one step; its command may hold `$address`, `$family` (ip or ip6), `$flows`, `$begin` and `$end`."""

    title: str
    kind: Kind
    target: Target = "incident"
    command: str = ""
    query: str = ""
    """A question of `queries.yaml`, in place of a command."""
    where: Literal["anywhere", "inside", "outside"] = "anywhere"
    """Whether the step is for addresses of the site or for others."""
    from_level: Level = "informational"
    deadline_s: int | None = None
    """Seconds after which it is late; what its kind and the level of the incident say where it is not given."""
    lease_s: int | None = None
    """Seconds that its effect lasts."""

    def __post_init__(self) -> None:
        """Refuse an unknown query, a command that cannot be filled, and times that are none; raises ValueError."""
        if self.query and (self.command or self.query not in queries()):
            told = "a step has a command or a query" if self.command else f"no query {self.query}"
            raise ValueError(f"{told}; there are the queries {', '.join(sorted(queries()))}")
        if min(self.deadline_s or 1, self.lease_s or 0) < 0:
            raise ValueError("deadline_s and lease_s are numbers of seconds")
        for text in (self.run, self.run_on_platform, *self.others.values()):
            self._check(text)

    @property
    def run(self) -> str:
        """Return the template of its command."""
        return queries()[self.query].command if self.query else self.command

    @property
    def run_on_platform(self) -> str:
        """Return the template of its command where rows are kept by a platform."""
        return queries()[self.query].platform if self.query else self.command

    @property
    def others(self) -> dict[str, str]:
        """Return the templates of its question for other tools."""
        return queries()[self.query].others if self.query else {}

    def _check(self, text: str) -> None:
        command, known = Template(text), COMMON_FIELDS | (ADDRESS_FIELDS if self.target != "incident" else set())
        unknown = sorted(set(command.get_identifiers()) - known)
        if unknown or not command.is_valid():
            raise ValueError(
                f"wrong placeholder ${' $'.join(unknown)}; there are ${', $'.join(sorted(known))}, and $$ for $"
            )

    def terms(self, level: Level) -> tuple[int, int]:
        """Return by when it should be done and how long its effect lasts, in seconds."""
        deadline = self.deadline_s or FIRST_DEADLINES_S[level] * DEADLINE_FACTORS[self.kind]
        return deadline, LEASES_S.get(self.kind, 0) if self.lease_s is None else self.lease_s


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

    def __init__(
        self, playbooks: list[Playbook], rules: Sequence[EscalationRule] = (), *, on_platform: bool = False
    ) -> None:
        """Take playbooks, of which the first counts for a family that several name, and rules of escalation."""
        self._rules, self._on_platform = rules, on_platform
        self._by_family: dict[str, Playbook] = {}
        for playbook in playbooks:
            for name in playbook.families:
                self._by_family.setdefault(name, playbook)

    @classmethod
    def load(cls, folder: Path | None = None, *, on_platform: bool = False) -> Playbooks:
        """Read the playbooks of a folder and then those of the package; one that is broken is left out.

        `read_folder` says why. Raises InputError for what is no folder.
        """
        own = read_folder(folder).playbooks if folder else []
        return cls([*own, *builtin_playbooks()], _escalation(folder), on_platform=on_platform)

    def plan(self, incident: Incident, level: Level) -> ResponsePlan:
        """Write the response plan of an incident: the steps of all its playbooks, by kind, each once."""
        playbooks = self._choose(incident)
        written: dict[tuple[str, str, str, str], ResponseStep] = {}
        for playbook in playbooks:
            meant = [each for each in incident.detections if family(each.category).name in playbook.families]
            scene = Scene(incident, meant or incident.detections, level, on_platform=self._on_platform)
            for template in playbook.steps:
                if _applies(template, level):
                    for step in scene.fill(template):
                        written.setdefault((step.title, step.kind, step.target, step.command), step)
        steps = sorted(written.values(), key=lambda step: KINDS.index(step.kind))
        told = escalations(self._rules, incident, level)
        return ResponsePlan("; ".join(playbook.name for playbook in playbooks), PRIORITIES[level], steps, told)

    def _choose(self, incident: Incident) -> list[Playbook]:
        """Choose by the families of the detections, that of the worst first; none twice."""
        ranked = sorted(
            incident.detections, key=lambda d: (-SEVERITIES.index(d.severity), -d.score, d.at, d.detection_id)
        )
        names = [name for name in (family(each.category).name for each in ranked) if name in self._by_family]
        chosen = {self._by_family[name].name: self._by_family[name] for name in names or [OTHER.name]}
        return list(chosen.values())


class Shelf(NamedTuple):
    """Holds what could be read of a folder, and what is wrong with the rest."""

    playbooks: list[Playbook]
    faults: list[InputError]


def builtin_playbooks() -> list[Playbook]:
    """Read the playbooks that come with the package."""
    with as_file(files("infraspectre.reflex") / "playbook_files") as own:
        return read_folder(own).playbooks


def read_folder(folder: Path) -> Shelf:
    """Read the playbooks of a folder, our own in YAML and CACAO ones in JSON, and say everything wrong with others.

    Raises InputError for what is no folder.
    """
    if not folder.is_dir():
        raise InputError("is not a folder of playbooks", path=folder)
    return read_all([folder])


def read_all(paths: Iterable[Path]) -> Shelf:
    """Read playbooks and folders of them, and say everything wrong with others."""
    shelf = Shelf([], [])
    for path in (file for each in paths for file in _files(each)):
        read, faults = read_file(path)
        shelf.playbooks.extend([read] if read else [])
        shelf.faults.extend(faults)
    return shelf


def _files(path: Path) -> list[Path]:
    return sorted([*path.glob("*.yaml"), *path.glob("*.json")]) if path.is_dir() else [path]


def in_yaml(playbook: Playbook) -> str:
    """Write a playbook as `read_file` reads it."""
    import yaml

    plain = {key: value for key, value in msgspec.to_builtins(playbook).items() if key != "steps"}
    steps = [
        {key: value for key, value in msgspec.to_builtins(each).items() if value not in (None, "")}
        for each in playbook.steps
    ]
    return str(yaml.safe_dump(plain | {"steps": steps}, sort_keys=False, allow_unicode=True, width=120))


def read_file(path: Path) -> tuple[Playbook | None, list[InputError]]:
    """Read a playbook, or a file of escalation rules, and return everything that is wrong with it."""
    from infraspectre.reflex import cacao

    try:
        if path.name == ESCALATION:
            load_escalation(path.parent)
            return None, []
        if path.suffix == ".json":
            return cacao.read(path)
        document = read_document(path)
        faults = list(_faults(document))
        return (None, faults) if faults else (document.part(Playbook), [])
    except InputError as fault:
        return None, [fault]


def _escalation(folder: Path | None) -> list[EscalationRule]:
    """Return the rules of a folder; those of the package where its own are broken, as `read_folder` says."""
    try:
        return load_escalation(folder)
    except InputError:
        return load_escalation(None)


def _faults(document: Document) -> Iterator[InputError]:
    """Yield what is wrong with each step, and then with the rest."""
    content = document.content if isinstance(document.content, dict) else {}
    steps = content.get("steps")
    fields = [(f"$.steps[{place}]", PlaybookStep) for place in range(len(steps))] if isinstance(steps, list) else []
    for field, record in fields:
        if fault := _fault(document, record, field):
            yield fault
    bare = document._replace(content=content | {"steps": []} if isinstance(steps, list) else document.content)
    if fault := _fault(bare, Playbook, "$"):
        yield fault


def _fault(document: Document, record: type[msgspec.Struct], field: str) -> InputError | None:
    try:
        document.part(record, field)
    except InputError as fault:
        return fault
    return None


def _applies(step: PlaybookStep, level: Level) -> bool:
    return SEVERITIES.index(level) >= SEVERITIES.index(step.from_level)


class Scene:
    """Fills templates with what is known about an incident: nothing but addresses, numbers and times."""

    def __init__(
        self, incident: Incident, detections: Sequence[Detection], level: Level, *, on_platform: bool = False
    ) -> None:
        """Take an incident and its level, and those of its detections that the playbook is meant for."""
        self._level, self._on_platform = level, on_platform
        self._addresses = {
            "actor": _parsed(each.orig for each in detections),
            "target": _parsed(each.resp for each in detections),
        }
        self._common = {
            "incident": incident.incident_id,
            "flows": ", ".join(str(flow) for each in incident.detections[:8] for flow in each.flow_ids[:8]) or "NULL",
            "begin": _timestamp(incident.first_seen),
            "end": _timestamp(incident.last_seen),
            "begin_s": str(incident.first_seen // 1_000_000_000),
            "end_s": str(incident.last_seen // 1_000_000_000 + 1),
        }

    def fill(self, step: PlaybookStep) -> Iterator[ResponseStep]:
        """Write a step once, or for each of its first few targets."""
        if step.target == "incident":
            yield self._filled(step, "", self._common)
            return
        wanted = self._wanted(step)
        for address in wanted[:MOST_TARGETS]:
            names = {"address": str(address), "family": "ip" if address.version == 4 else "ip6"}
            yield self._filled(step, str(address), self._common | names)
        if rest := wanted[MOST_TARGETS:]:
            more = f" and {len(rest) - MOST_NAMED} more" if len(rest) > MOST_NAMED else ""
            title = f"{step.title}: likewise {', '.join(map(str, rest[:MOST_NAMED]))}{more}"
            yield self._filled(msgspec.structs.replace(step, title=title, command="", query=""), "", {})

    def _filled(self, step: PlaybookStep, target: str, names: dict[str, str]) -> ResponseStep:
        deadline, lease = step.terms(self._level)
        command = Template(step.run_on_platform if self._on_platform else step.run).substitute(names)
        asked = {tool: Template(text).substitute(names) for tool, text in step.others.items()}
        return ResponseStep(step.title, step.kind, target, command, False, asked, deadline, lease)

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
