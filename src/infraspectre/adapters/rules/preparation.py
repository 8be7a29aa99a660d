"""Makes rule files ready for the engine: unpacked, and as people decided about the rules in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import msgspec

from infraspectre.adapters.rules.decisions import STATE_FILE, Decisions, read_decisions
from infraspectre.adapters.rules.files import is_packed, rule_files
from infraspectre.adapters.rules.texts import RuleText, lines_of, rule_texts
from infraspectre.errors import InputError

THRESHOLDS = "threshold-file"
LABELS = {"classification-file": "classification.config", "reference-config-file": "reference.config"}
"""Settings that name the files of classes and references, and what those are called beside rules."""


class Prepared(NamedTuple):
    """Holds what the engine is told."""

    paths: list[str]
    settings: dict[str, str]
    originals: dict[str, str]
    """The rule file for which each changed copy stands."""


@contextmanager
def prepared(paths: Sequence[Path], settings: Mapping[str, str], state: Path | None = None) -> Iterator[Prepared]:
    """Give rule files and settings to the engine as decided in `state`, or else in the files beside the rules.

    Files in which nothing is switched are given as they are; of others, and of packed ones, there is a copy while the
    block runs, with the same lines, beside links to what lies in their folder.
    """
    files = rule_files(paths)
    with TemporaryDirectory(prefix="infraspectre-rules-") as name:
        desk = Desk(Path(name), state)
        given = {str(desk.prepare(file, home)): str(file) for file, home in files.items()}
        chosen = {**labels_beside(files), **settings}
        if desk.suppressions:
            chosen[THRESHOLDS] = str(desk.thresholds(settings.get(THRESHOLDS)))
        yield Prepared(list(given), chosen, {copy: file for copy, file in given.items() if copy != file})


class Desk:
    """Holds the copies of rule files while the engine reads them."""

    def __init__(self, folder: Path, state: Path | None) -> None:
        """Begin without copies."""
        self._folder = folder
        self._decided = None if state is None else read_decisions(state)
        self._beside: dict[Path, Decisions] = {}
        self._copies: dict[Path, Path] = {}
        self.suppressions: list[str] = []

    def prepare(self, file: Path, home: Path) -> Path:
        """Return the file that the engine reads in place of a rule file: itself, or a copy."""
        changed = self._changed(file, self.decisions_in(home))
        return self._copy(file, changed) if changed or is_packed(file) else file

    def _changed(self, file: Path, decisions: Decisions) -> list[RuleText]:
        """Return the rules of a file that are switched, and note which are suppressed."""
        if not decisions.decisions:
            return []
        rules = list(rule_texts(file))
        self.suppressions += decisions.suppressions(rule.signature for rule in rules)
        return [rule for rule in rules if decisions.is_enabled(rule.signature) != rule.signature.is_enabled]

    def decisions_in(self, home: Path) -> Decisions:
        """Return the decisions about the rules in and below a folder."""
        if self._decided is not None:
            return self._decided
        if home not in self._beside:
            self._beside[home] = read_decisions(home / STATE_FILE)
        return self._beside[home]

    def _copy(self, file: Path, changed: list[RuleText]) -> Path:
        lines = lines_of(file, "surrogateescape")
        for rule in changed:
            switch(lines, rule)
        copy = self._beside_links(file.parent) / file.name
        copy.unlink(missing_ok=True)
        copy.write_text("\n".join(lines), encoding="utf-8", errors="surrogateescape")
        return copy

    def _beside_links(self, folder: Path) -> Path:
        """Return a folder with links to all that lies in another, since rules name data sets that lie beside them."""
        if folder not in self._copies:
            place = self._copies[folder] = self._folder / str(len(self._copies))
            place.mkdir()
            for entry in folder.resolve().iterdir():
                (place / entry.name).symlink_to(entry)
        return self._copies[folder]

    def thresholds(self, given: str | None) -> Path:
        """Return a threshold file that holds the given one and the suppressions; raises InputError naming it."""
        try:
            text = Path(given).read_text(encoding="utf-8") if given else ""
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot be read: {error}", path=given) from error
        path = self._folder / "threshold.config"
        path.write_text("\n".join([text, *self.suppressions, ""]), encoding="utf-8")
        return path


def switch(lines: list[str], rule: RuleText) -> None:
    """Put the lines of a rule behind #, or take them from behind it."""
    for index in range(rule.signature.line - 1, rule.last_line):
        line = lines[index]
        lines[index] = f"#{line}" if rule.signature.is_enabled else line.lstrip("# \t")


def labels_beside(files: Mapping[Path, Path]) -> dict[str, str]:
    """Return the settings that name the files of classes and references which lie beside rules."""
    folders = dict.fromkeys(folder for file, home in files.items() for folder in (file.parent, home))
    found = {
        setting: next((folder / name for folder in folders if (folder / name).is_file()), None)
        for setting, name in LABELS.items()
    }
    return {setting: str(path) for setting, path in found.items() if path is not None}


def decided(paths: Sequence[Path], state: Path | None = None) -> Iterator[tuple[RuleText, Decisions]]:
    """Yield the rules of files with the decisions about the files; each says whether it is looked for in the end."""
    desk = Desk(Path(), state)
    for file, home in rule_files(paths).items():
        decisions = desk.decisions_in(home)
        for rule in rule_texts(file):
            signature = msgspec.structs.replace(rule.signature, is_enabled=decisions.is_enabled(rule.signature))
            yield rule._replace(signature=signature), decisions
