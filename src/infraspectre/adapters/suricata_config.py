"""Reads a suricata.yaml as Suricata's dotted setting names with text values, included files and all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from infraspectre.documents import read_text
from infraspectre.errors import InputError

LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
"""Leaves scalars as they are written: to Suricata, `yes` and `10` are text."""
INCLUDE = "include"
DEEPEST = 32
MOST_SETTINGS = 65_536
"""Aliases let a few lines expand without bound; Suricata's own file has some hundred settings."""

Setting = tuple[str, str]


def read_config(path: Path, *, skip_missing: bool = False) -> dict[str, str]:
    """Return the settings of a file; raises InputError for what is no configuration or a file that it lacks.

    `skip_missing` passes over included files that are not there.
    """
    settings: dict[str, str] = {}
    for count, (name, text) in enumerate(Reader(skip_missing).settings_of(path), start=1):
        if count > MOST_SETTINGS:
            raise InputError(f"has more than {MOST_SETTINGS} settings", path=path)
        settings[name] = text
    return settings


class Reader:
    """Walks the nodes of a file and of those that it includes."""

    def __init__(self, skip_missing: bool = False) -> None:
        """Begin outside of all files."""
        self._skip_missing = skip_missing
        self._open: list[Path] = []

    def settings_of(self, path: Path, under: str = "") -> Iterator[Setting]:
        """Yield the settings of a file, named as below `under`."""
        self._open.append(path)
        try:
            root = yaml.compose(read_text(path), Loader=LOADER)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            problem = str(getattr(error, "problem", None) or "is not valid YAML")
            raise InputError(problem, path=path, line=mark.line + 1 if mark else None) from error
        if root is not None and not isinstance(root, yaml.MappingNode):
            raise InputError("is no mapping of settings", path=path, line=1)
        if root is not None:
            yield from self._walk(root, under, DEEPEST)
        self._open.pop()

    def _walk(self, node: yaml.Node, name: str, depth: int) -> Iterator[Setting]:
        if not depth:
            raise self._error(f"is nested deeper than {DEEPEST} levels", node)
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                yield from self._member(str(key.value), value, name, depth - 1)
        elif isinstance(node, yaml.SequenceNode):
            yield from self._sequence(node, name, depth - 1)
        elif node.tag == f"!{INCLUDE}":
            yield from self._include(node, name)
        else:
            yield name, node.value

    def _member(self, key: str, value: yaml.Node, name: str, depth: int) -> Iterator[Setting]:
        if key == INCLUDE and not name:
            for file in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                yield from self._include(file, name)
        else:
            yield from self._walk(value, f"{name}.{key}" if name else key, depth)

    def _sequence(self, node: yaml.SequenceNode, name: str, depth: int) -> Iterator[Setting]:
        words = [item.value for item in node.value if is_plain(item)]
        if words or not node.value:
            yield name, " ".join(words)
        for index, item in enumerate(node.value):
            if not is_plain(item):
                yield from self._walk(item, f"{name}.{index}", depth)

    def _include(self, node: yaml.Node, name: str) -> Iterator[Setting]:
        if not isinstance(node, yaml.ScalarNode) or not node.value:
            raise self._error("includes something that is no file name", node)
        path = self._open[-1].parent / node.value
        if path.resolve() in {file.resolve() for file in self._open}:
            raise self._error(f"includes {node.value}, which includes it", node)
        if path.is_file():
            yield from self.settings_of(path, name)
        elif not self._skip_missing:
            raise self._error(f"includes {node.value}, which is not there", node)

    def _error(self, problem: str, node: yaml.Node) -> InputError:
        return InputError(problem, path=self._open[-1], line=node.start_mark.line + 1)


def is_plain(node: yaml.Node) -> bool:
    """Tell whether a node is a text that stands for itself."""
    return isinstance(node, yaml.ScalarNode) and node.tag != f"!{INCLUDE}"
