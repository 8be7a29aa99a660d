"""Reads YAML files into typed records and names the file and line of whatever is wrong in them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from infraspectre.errors import InputError

MAXIMUM_BYTES = 1 << 20
"""Larger files are no playbooks or asset lists written by people."""

DEEPEST = 32
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The parser in C where it was built, else the same in Python."""

Record = TypeVar("Record")


def read_yaml(path: Path, record: type[Record]) -> Record:
    """Read a YAML file as a record; raises InputError naming file, line and field."""
    documents = read_documents(path)
    if len(documents) > 1:
        raise InputError("holds more than one document", path=path, line=_line(documents[1][0].start_mark))
    root, content = documents[0] if documents else (None, None)
    try:
        return msgspec.convert(content, record)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `")
        field = where.rstrip("`") or "$"
        raise InputError(what, path=path, line=line_of(root, field), field=field) from error


def read_documents(path: Path) -> list[tuple[yaml.Node, Any]]:
    """Read the documents of a YAML file, each with the nodes in which `line_at` finds places; raises InputError."""
    text = read_text(path)
    try:
        _refuse_expansion(path, text)
        roots = list(yaml.compose_all(text, Loader=LOADER))
        return [(root, yaml.constructor.SafeConstructor().construct_document(root)) for root in roots]
    except yaml.YAMLError as error:
        raise InputError(_problem(error), path=path, line=_line(getattr(error, "problem_mark", None))) from error


def read_text(path: Path) -> str:
    """Read a small UTF-8 file; raises InputError naming it."""
    try:
        if path.stat().st_size > MAXIMUM_BYTES:
            raise InputError(f"is larger than {MAXIMUM_BYTES} bytes", path=path)
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from error
    except UnicodeDecodeError as error:
        raise InputError("is not UTF-8 text", path=path) from error


def _refuse_expansion(path: Path, text: str) -> None:
    """Refuse aliases, with which a few lines expand without bound, and nesting that no record has."""
    depth = 0
    for event in yaml.parse(text, Loader=LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent) or depth > DEEPEST:
            problem = "aliases are not allowed" if depth <= DEEPEST else f"is nested deeper than {DEEPEST} levels"
            raise InputError(problem, path=path, line=_line(event.start_mark))


def line_of(root: yaml.Node | None, field: str) -> int:
    """Find the line of a field written as `$.steps[2].kind`, or of its nearest parent."""
    steps = re.findall(r"\.([^.\[]+)|\[(\d+)\]", field)
    return line_at(root, [name or int(index) for name, index in steps])


def line_at(root: yaml.Node | None, steps: Iterable[str | int]) -> int:
    """Find the line of what keys and positions lead to, or of its nearest parent."""
    node = root
    for step in steps:
        child = _child(node, step)
        if child is None:
            break
        node = child
    return _line(node and node.start_mark) or 1


def _child(node: yaml.Node | None, step: str | int) -> yaml.Node | None:
    found: yaml.Node | None = None
    if isinstance(node, yaml.MappingNode):
        found = next((value for key, value in node.value if key.value == step), None)
    elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        found = node.value[step]
    return found


def _problem(error: yaml.YAMLError) -> str:
    return str(getattr(error, "problem", None) or "is not valid YAML")


def _line(mark: Any) -> int | None:
    return None if mark is None else mark.line + 1
