"""Makes rule files ready for the engine: unpacked, and as people decided about the rules in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple
from weakref import finalize

from infraspectre.adapters.rules.files import STATE_FILE, is_plain, read_rules, rule_files
from infraspectre.capture.signatures import Rules
from infraspectre.errors import InputError
from infraspectre.intel.rule_classes import classification_config

if TYPE_CHECKING:
    from infraspectre.adapters.rules.decisions import Decided
    from infraspectre.adapters.rules.texts import RuleText
    from infraspectre.records.signatures import ShownSignature

THRESHOLDS = "threshold-file"
CLASSES = "classification-file"
LABELS = {CLASSES: "classification.config", "reference-config-file": "reference.config"}
"""Settings that name the files of classes and references, and what those are called beside rules."""


class Prepared(NamedTuple):
    """Holds what the engine is told."""

    paths: list[str]
    settings: dict[str, str]
    originals: dict[str, str]
    """The rule file for which each changed copy stands."""


def load(paths: Sequence[Path], settings: Mapping[str, str], state: Path | None = None) -> Rules:
    """Compile prepared rules; what the engine was told to read stays there as long as they do."""
    with ExitStack() as stack:
        rules = Rules(*stack.enter_context(prepared(paths, settings, state)))
        finalize(rules, stack.pop_all().close)
    return rules


@contextmanager
def prepared(paths: Sequence[Path], settings: Mapping[str, str], state: Path | None = None) -> Iterator[Prepared]:
    """Give rule files and settings to the engine as decided in `state`, or else in the files beside the rules.

    Files in which nothing is switched are given as they are; of others, and of packed ones, there is a copy while the
    block runs, with the same lines, beside links to what lies in their folder.
    """
    files, thresholds = rule_files(paths), thresholds_in(settings.get(THRESHOLDS))
    with TemporaryDirectory(prefix="infraspectre-rules-") as name:
        desk, decisions = Desk(Path(name)), State(state)
        given = {str(desk.prepare(file, decisions.of(home))): str(file) for file, home in files.items()}
        chosen = {**labels_beside(files), **settings}
        if CLASSES not in chosen:
            chosen[CLASSES] = desk.put("classification.config", classification_config())
        originals = {copy: file for copy, file in given.items() if copy != file}
        if desk.suppressions:
            text = "\n".join([thresholds, *desk.suppressions, ""])
            chosen[THRESHOLDS] = desk.put("threshold.config", text)
            originals[chosen[THRESHOLDS]] = settings.get(THRESHOLDS) or str(state or STATE_FILE)
        yield Prepared(list(given), chosen, originals)


class State:
    """Finds what was decided about the rules of a file."""

    def __init__(self, file: Path | None) -> None:
        """Look into one file alone, which must be there, or else into those beside the rules."""
        self._file = file
        self._read: dict[Path, Decided | None] = {}

    def of(self, home: Path) -> Decided | None:
        """Return the decisions about the rules in and below a folder; None where nothing was decided."""
        file = self._file or home / STATE_FILE
        if file not in self._read:
            self._read[file] = decided_in(file) if self._file or file.exists() else None
        return self._read[file]


def decided_in(file: Path) -> Decided:
    """Return the decisions in a file."""
    from infraspectre.adapters.rules.decisions import Decided, read_decisions  # only here: most rules have no such file

    return Decided(read_decisions(file))


class Desk:
    """Holds the copies of rule files while the engine reads them."""

    def __init__(self, folder: Path) -> None:
        """Begin without copies."""
        self._folder = folder
        self._copies: dict[Path, Path] = {}
        self.suppressions: list[str] = []

    def prepare(self, file: Path, decided: Decided | None) -> Path:
        """Return the file that the engine reads in place of a rule file: itself, or a copy."""
        source = file if file.is_file() else self._saved(file)
        changed = self._changed(source, decided) if decided else []
        return self._copy(source, changed) if changed or not is_plain(source) else source

    def _saved(self, stream: Path) -> Path:
        """Return a file with what a pipe gives, which can be read only once."""
        place = self._folder / f"stream-{len(list(self._folder.iterdir()))}"
        place.mkdir()
        (place / stream.name).write_bytes(read_rules(stream))
        return place / stream.name

    def _changed(self, file: Path, decided: Decided) -> list[RuleText]:
        """Return the rules of a file that are switched, and note which are suppressed."""
        from infraspectre.adapters.rules.decisions import is_enabled
        from infraspectre.adapters.rules.texts import rule_texts

        changed = []
        for rule in rule_texts(file):
            decisions = decided.about(rule.signature)
            self.suppressions += [one.line(rule.signature) for one in decisions if one.do == "suppress"]
            if is_enabled(rule.signature, decisions) != rule.signature.is_enabled:
                changed.append(rule)
        return changed

    def _copy(self, file: Path, changed: list[RuleText]) -> Path:
        from infraspectre.adapters.rules.texts import lines_of

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

    def put(self, name: str, text: str) -> str:
        """Return a file with a text."""
        (self._folder / name).write_text(text, encoding="utf-8")
        return str(self._folder / name)


def thresholds_in(path: str | None) -> str:
    """Return the text of a threshold file, if one is named; raises InputError naming it."""
    try:
        return Path(path).read_text(encoding="utf-8") if path else ""
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read: {error}", path=path) from error


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


def shown_rules(paths: Sequence[Path], state: Path | None = None) -> Iterator[ShownSignature]:
    """Yield the rules of files, each with the decisions about it, and whether it is looked for in the end."""
    import msgspec

    from infraspectre.adapters.rules.decisions import is_enabled
    from infraspectre.adapters.rules.texts import rule_texts
    from infraspectre.records.signatures import ShownSignature

    decisions = State(state)
    for file, home in rule_files(paths).items():
        decided = decisions.of(home)
        for rule in rule_texts(file):
            about = decided.about(rule.signature) if decided else []
            signature = msgspec.structs.replace(rule.signature, is_enabled=is_enabled(rule.signature, about))
            yield ShownSignature(signature, rule.text, [str(decision) for decision in about])
