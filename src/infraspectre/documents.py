"""Reads YAML files into typed records and names the file and line of whatever is wrong in them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec
import yaml

from infraspectre.errors import InputError

MAXIMUM_BYTES = 1 << 20
"""Larger files are no playbooks or asset lists written by people."""

DEEPEST = 32
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The parser in C where it was built, else the same in Python."""

NO_YAML = (yaml.YAMLError, ValueError, KeyError, AttributeError, TypeError)
"""What the library raises; others than its own for what is called or looks like a date or truth value and is none."""

Record = TypeVar("Record")


class Document(NamedTuple):
    """Is a YAML document as plain values, with the place of each."""

    path: Path
    root: yaml.Node | None
    content: Any

    def part(self, record: type[Record], field: str = "$") -> Record:
        """Return a part of it, such as `$.steps[2]`, as a record; raises InputError naming file, line and field."""
        try:
            return msgspec.convert(self._value(field), record)
        except msgspec.ValidationError as error:
            what, _, where = str(error).partition(" - at `")
            place = field + where.rstrip("`").removeprefix("$")
            if unknown := re.search(r"unknown field `(\w+)`", what):
                place += f".{unknown[1]}"
            raise self.fault(what, place) from error

    def fault(self, problem: str, field: str, remedy: str | None = None) -> InputError:
        """Return the error that something is wrong with a field."""
        return InputError(problem, path=self.path, line=self.line_of(field), field=field, remedy=remedy)

    def line_of(self, field: str) -> int:
        """Return the line of a field, or of its nearest parent."""
        return self.line_at(steps_of(field))

    def line_at(self, steps: Iterable[str | int]) -> int:
        """Return the line of what keys and positions lead to, or of its nearest parent."""
        node = node_at(self.root, steps)
        return _line(node and node.start_mark) or 1

    def _value(self, field: str) -> Any:
        value = self.content
        for step in steps_of(field):
            value = value[step]
        return value


def read_yaml(path: Path, record: type[Record]) -> Record:
    """Read a YAML file as a record; raises InputError naming file, line and field."""
    return read_document(path).part(record)


def read_document(path: Path) -> Document:
    """Read a YAML file that holds one document without repeated keys; raises InputError naming file and line."""
    documents = read_documents(path)
    if len(documents) > 1:
        raise InputError("holds more than one document", path=path, line=documents[1].line_at(()))
    document = documents[0] if documents else Document(path, None, None)
    _refuse_repetition(path, document.root)
    return document


def read_documents(path: Path) -> list[Document]:
    """Read the documents of a YAML file; raises InputError naming file and line."""
    text = read_text(path)
    try:
        _refuse_expansion(path, text)
        roots = list(yaml.compose_all(text, Loader=LOADER))
        return [Document(path, root, yaml.constructor.SafeConstructor().construct_document(root)) for root in roots]
    except NO_YAML as error:
        raise InputError(_problem(error), path=path, line=_line(getattr(error, "problem_mark", None))) from error


def read_json(path: Path) -> Document:
    """Read a JSON file of an object without repeated keys; raises InputError naming file and line."""
    text = read_text(path)
    try:
        content = msgspec.json.decode(text)
        # JSON is YAML but for tabs, which JSON has between its signs only; the parser of YAML tells the lines.
        _refuse_expansion(path, plain := text.replace("\t", " "))
        root = yaml.compose(plain, Loader=LOADER)
    except RecursionError as error:
        raise InputError("is nested too deep", path=path) from error
    except msgspec.DecodeError as error:
        place = re.search(r"byte (\d+)", str(error))
        line = text.encode()[: int(place[1])].count(b"\n") + 1 if place else None
        raise InputError(f"is not valid JSON: {error}", path=path, line=line) from error
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(_problem(error), path=path, line=_line(getattr(error, "problem_mark", None))) from error
    _refuse_repetition(path, root)
    return Document(path, root, content)


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


def _refuse_repetition(path: Path, node: yaml.Node | None) -> None:
    """Refuse a key that a mapping has twice, of which YAML would silently take the last."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                raise InputError(f"{key.value!r} is written twice", path=path, line=_line(key.start_mark))
            seen.add(key.value)
            _refuse_repetition(path, value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _refuse_repetition(path, value)


def steps_of(field: str) -> list[str | int]:
    """Return the keys and positions that lead to a field written as `$.steps[2].kind`."""
    return [name or int(index) for name, index in re.findall(r"\.([^.\[]+)|\[(\d+)\]", field)]


def node_at(root: yaml.Node | None, steps: Iterable[str | int]) -> yaml.Node | None:
    """Find what keys and positions lead to, or its nearest parent."""
    node = root
    for step in steps:
        child = _child(node, step)
        if child is None:
            break
        node = child
    return node


def items_at(root: yaml.Node | None, steps: Iterable[str | int]) -> list[yaml.Node]:
    """Return the items of the list that keys and positions lead to; none where there is no list."""
    node = node_at(root, steps)
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _child(node: yaml.Node | None, step: str | int) -> yaml.Node | None:
    found: yaml.Node | None = None
    if isinstance(node, yaml.MappingNode):
        found = next((value for key, value in node.value if key.value == step), None)
    elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        found = node.value[step]
    return found


def _problem(error: Exception) -> str:
    return str(getattr(error, "problem", None) or f"is not valid YAML: {error}")


def _line(mark: Any) -> int | None:
    return None if mark is None else mark.line + 1
