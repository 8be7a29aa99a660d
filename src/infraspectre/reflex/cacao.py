"""CACAO playbooks: ours written as CACAO 2.0, and CACAO ones of others read as ours.

Source: OASIS, CACAO Security Playbooks Version 2.0, Committee Specification 01 (2023). What CACAO has no word for, such
as the families of findings that a playbook answers, stands in extensions, so that nothing of ours is lost on the way.
Of workflows of others, the steps are kept in the order in which they are reached; conditions are kept as words, since
nothing is executed here.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import msgspec

from infraspectre.documents import Document, read_json
from infraspectre.errors import InputError
from infraspectre.intel.families import OTHER
from infraspectre.reflex.playbooks import Kind, Playbook, PlaybookStep

VERSION = "cacao-2.0"
HOME = "https://infraspectre.org/cacao"
"""What our identifiers are derived from (UUID version 5, RFC 9562)."""
UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
TIMESTAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z"
REQUIRED = ("type", "spec_version", "id", "name", "created_by", "created", "modified", "workflow_start", "workflow")
"""Properties that each playbook must have (section 3.1)."""
SHAPES = {
    "id": rf"playbook--{UUID}",
    "created_by": rf"identity--{UUID}",
    "created": TIMESTAMP,
    "modified": TIMESTAMP,
    "workflow_start": rf"start--{UUID}",
}
STEP_TYPES: dict[str, tuple[str, ...]] = {
    "start": (),
    "end": (),
    "action": ("commands", "agent"),
    "playbook-action": ("playbook_id",),
    "parallel": ("next_steps",),
    "if-condition": ("condition", "on_true"),
    "while-condition": ("condition", "on_true"),
    "switch-condition": ("switch", "cases"),
}
"""Types of steps and the properties that they must have (section 4)."""
FOLLOWERS = ("on_completion", "on_success", "on_true", "next_steps", "cases", "on_false", "on_failure")
"""Properties that lead to other steps, in the order in which they are followed."""
KINDS_OF_TYPES: dict[str, Kind] = {
    "notification": "notify",
    "attack": "investigate",
    "detection": "investigate",
    "engagement": "investigate",
    "investigation": "investigate",
    "mitigation": "contain",
    "prevention": "contain",
    "remediation": "eradicate",
}
"""What playbook types (section 3.1.1) mean for the kind of their steps."""
TYPES_OF_KINDS = {
    "investigate": "investigation",
    "contain": "mitigation",
    "eradicate": "remediation",
    "recover": "remediation",
    "notify": "notification",
}
MOST_STEPS = 1_000


def identity(kind: str, *names: str) -> str:
    """Return the identifier of something of ours, the same whenever it has the same names."""
    return f"{kind}--{uuid5(NAMESPACE_URL, '/'.join((HOME, kind, *names)))}"


AUTHOR = identity("identity", "infraspectre")
EXTENSION = identity("extension-definition", "playbook")
ANALYST = identity("individual", "analyst")


def write(playbook: Playbook, at: str) -> dict[str, Any]:
    """Return a playbook as a CACAO object made at a time, as RFC 3339 in UTC."""
    names = [playbook.name]
    ids = [identity("action", *names, str(place)) for place in range(len(playbook.steps))]
    start, end = identity("start", *names), identity("end", *names)
    following = [*ids[1:], end]
    steps = {
        own: _action(step, after) for own, step, after in zip(ids, playbook.steps, following[: len(ids)], strict=True)
    }
    kinds = dict.fromkeys(TYPES_OF_KINDS[step.kind] for step in playbook.steps)
    return {
        "type": "playbook",
        "spec_version": VERSION,
        "id": identity("playbook", *names),
        "name": playbook.name,
        "playbook_types": list(kinds),
        "created_by": AUTHOR,
        "created": at,
        "modified": at,
        "workflow_start": start,
        "workflow": {
            start: {"type": "start", "on_completion": ids[0] if ids else end},
            **steps,
            end: {"type": "end"},
        },
        "agent_definitions": {ANALYST: {"type": "individual", "name": "analyst"}},
        "extension_definitions": {EXTENSION: _extension()},
        "playbook_extensions": {EXTENSION: {"families": playbook.families}},
    }


def _extension() -> dict[str, Any]:
    return {
        "type": "extension-definition",
        "name": "InfraSpectre playbooks",
        "description": "Families of findings that a playbook answers, and whom, from which level and how long.",
        "created_by": AUTHOR,
        "schema": f"{HOME}/playbook-extension",
        "version": "1.0.0",
    }


def _action(step: PlaybookStep, after: str) -> dict[str, Any]:
    own = {key: value for key, value in msgspec.to_builtins(step).items() if key != "title" and value is not None}
    shown = {"type": "bash", "command": step.run} if step.run else {"type": "manual", "command": step.title}
    return {
        "type": "action",
        "name": step.title,
        "on_completion": after,
        "commands": [shown],
        "agent": ANALYST,
        "step_extensions": {EXTENSION: own},
    }


def read(path: Path, families: list[str] | None = None) -> tuple[Playbook | None, list[InputError]]:
    """Read a CACAO 2.0 playbook and return it, or everything that is wrong with its structure, each with its line.

    One of others answers `families`, or OTHER if none are given. Raises InputError for what is no JSON.
    """
    document = read_json(path)
    if not isinstance(document.content, dict):
        return None, [document.fault("is no CACAO playbook: not a JSON object", "$")]
    faults = [*_wrong_properties(document), *_wrong_workflow(document)]
    if faults:
        return None, faults
    try:
        return _playbook(document, families), []
    except (msgspec.ValidationError, ValueError) as error:
        return None, [document.fault(str(error), "$")]


def _wrong_properties(document: Document) -> Iterator[InputError]:
    """Yield what is wrong with the properties of the playbook itself."""
    content = document.content
    for name in REQUIRED:
        if name not in content:
            yield document.fault(f"lacks the property {name}", "$")
    for name, wanted in (("type", "playbook"), ("spec_version", VERSION)):
        if content.get(name, wanted) != wanted:
            yield document.fault(f"is {content[name]!r}, not {wanted}", f"$.{name}")
    for name, shape in SHAPES.items():
        if name in content and not re.fullmatch(shape, str(content[name])):
            yield document.fault(f"is {content[name]!r}, which is not of the form that CACAO asks for", f"$.{name}")
    if str(content.get("modified", "~")) < str(content.get("created", "")):
        yield document.fault("is before created", "$.modified")
    if not _is_texts(content.get("playbook_types", [])):
        yield document.fault("is no list of texts", "$.playbook_types")
    if not _is_texts(_own(content.get("playbook_extensions")).get("families", [])):
        yield document.fault("has families that are no list of texts", "$.playbook_extensions")


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _wrong_workflow(document: Document) -> Iterator[InputError]:
    """Yield what is wrong with the steps."""
    workflow = document.content.get("workflow")
    if not isinstance(workflow, dict) or not 2 <= len(workflow) <= MOST_STEPS:
        yield document.fault(f"is not an object of 2 to {MOST_STEPS} steps", "$.workflow")
        return
    for name, step in workflow.items():
        yield from (document.fault(problem, f"$.workflow.{name}") for problem in _wrong_step(document, name, step))
    for wanted, words in (("start", "exactly one start step"), ("end", "an end step")):
        count = sum(isinstance(step, dict) and step.get("type") == wanted for step in workflow.values())
        if not count or (wanted == "start" and count > 1):
            yield document.fault(f"has not {words}", "$.workflow")
    if str(document.content.get("workflow_start")) not in workflow:
        yield document.fault("names no step of the workflow", "$.workflow_start")


def _wrong_step(document: Document, name: str, step: Any) -> Iterator[str]:
    kind = step.get("type") if isinstance(step, dict) else None
    if not isinstance(kind, str) or kind not in STEP_TYPES:
        yield f"is of the type {kind!r}; there are {', '.join(STEP_TYPES)}"
        return
    if not re.fullmatch(rf"{kind}--{UUID}", name):
        yield f"has a name that is not {kind}-- and a UUID"
    for wanted in STEP_TYPES[kind]:
        if not step.get(wanted):
            yield f"lacks the property {wanted}"
    if kind not in ("end",) and "on_completion" in step and ("on_success" in step or "on_failure" in step):
        yield "has on_completion beside on_success or on_failure"
    for follower in _followers(step):
        if follower not in document.content["workflow"]:
            yield f"leads to {follower}, which is no step"
    if kind == "action":
        yield from _wrong_action(document, step)


def _wrong_action(document: Document, step: Mapping[str, Any]) -> Iterator[str]:
    agents = document.content.get("agent_definitions")
    if step.get("agent") and not (isinstance(agents, dict) and str(step["agent"]) in agents):
        yield f"has the agent {step['agent']}, which is not among agent_definitions"
    commands = step.get("commands")
    if commands is not None and not (isinstance(commands, list) and all(map(_is_command, commands))):
        yield "has commands that are not a list of objects with a type"


def _is_command(command: Any) -> bool:
    return isinstance(command, dict) and isinstance(command.get("type"), str)


def _followers(step: Mapping[str, Any]) -> Iterator[str]:
    """Yield the steps that a step leads to."""
    for name in FOLLOWERS:
        leads = step.get(name, [])
        if isinstance(leads, str):
            yield leads
        elif isinstance(leads, list | dict):
            yield from map(str, leads.values() if isinstance(leads, dict) else leads)


def _playbook(document: Document, families: list[str] | None) -> Playbook:
    content = document.content
    own = _own(content.get("playbook_extensions"))
    kind = next((KINDS_OF_TYPES[each] for each in content.get("playbook_types", ()) if each in KINDS_OF_TYPES), None)
    steps = [_step(step, kind or "investigate") for step in _reached(content)]
    return Playbook(str(content["name"]), families or own.get("families") or [OTHER.name], steps)


def _own(extensions: Any) -> dict[str, Any]:
    """Return what we wrote into extensions."""
    own = extensions.get(EXTENSION) if isinstance(extensions, dict) else None
    return own if isinstance(own, dict) else {}


def _reached(content: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the steps that ask for something, each once, in the order in which they are reached."""
    waiting, seen = [str(content["workflow_start"])], set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        step = content["workflow"][name]
        if step["type"] not in ("start", "end", "parallel"):
            yield step
        waiting += reversed(list(_followers(step)))


def _step(step: Mapping[str, Any], kind: Kind) -> PlaybookStep:
    own = _own(step.get("step_extensions"))
    title = str(step.get("name") or step.get("description") or step["type"])
    if own:
        return msgspec.convert(own | {"title": title}, PlaybookStep)
    if condition := step.get("condition") or step.get("switch"):
        title += f" (only if {condition})"
    commands = "; ".join(_texts(step.get("commands", ())))
    return PlaybookStep(title, kind, command=commands.replace("$", "$$"))


def _texts(commands: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield what commands say that are not just words for people."""
    for command in commands:
        if command["type"] != "manual":
            yield str(command.get("command") or _decoded(command.get("command_b64")) or command["type"])


def _decoded(text: Any) -> str:
    try:
        return base64.b64decode(str(text or ""), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError(f"command_b64 is not text in Base64: {error}") from error
