"""Rules as text: where each stands and what it says about itself, without understanding what it looks for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from infraspectre.adapters.rules.files import read_rules
from infraspectre.records.signatures import Signature

RULE = re.compile(r"(?P<off>[#\s]*)(?P<action>[a-z]+)\s+[^(]*\((?P<options>.*)\)\s*", re.DOTALL)
ACTIONS = frozenset(
    ("alert", "pass", "drop", "reject", "rejectsrc", "rejectdst", "rejectboth", "config", "log", "block")
)
"""What a rule may begin with (Suricata User Guide, "Rules Format"; the last two are Snort's)."""
OPTION = re.compile(r"(?<!\\);\s*(sid|gid|rev|msg|classtype|metadata)\s*:\s*((?:[^;\\]|\\.)*)", re.DOTALL)
NUMBER = re.compile(r"[0-9]{1,10}")
CONTINUATION = re.compile(r"\\\n[#\s]*")
"""What stands between the lines of one rule, also where each of them is behind #."""
ESCAPE = re.compile(r'\\([;:"\\])')


class RuleText(NamedTuple):
    """Holds a rule's place, its lines as they are, and what it says about itself."""

    signature: Signature
    text: str
    last_line: int


def rule_texts(path: Path) -> Iterator[RuleText]:
    """Yield the rules of a file, also those behind #."""
    number = 0
    lines: list[str] = []
    for number, line in enumerate(lines_of(path, "replace"), start=1):
        lines.append(line)
        if not line.endswith("\\"):
            yield from rule_text(path, lines, number)
            lines = []
    yield from rule_text(path, lines, number)


def lines_of(path: Path, errors: str) -> list[str]:
    """Return the lines of a rule file, whichever way they end; `errors` says what becomes of bytes not in UTF-8."""
    return read_rules(path).decode("utf-8", errors).replace("\r\n", "\n").split("\n")


def rule_text(path: Path, lines: list[str], last_line: int) -> Iterator[RuleText]:
    """Yield the rule that lines hold, if they do; a backslash at the end of a line continues it."""
    text = "\n".join(lines)
    found = RULE.fullmatch(CONTINUATION.sub(" ", text)) if "sid" in text else None
    if found is None or found["action"] not in ACTIONS:
        return
    options: dict[str, str] = {}
    for name, value in OPTION.findall(f";{found['options']}"):
        options[name] = f"{options[name]},{value}" if name == "metadata" and name in options else value.strip()
    if not NUMBER.fullmatch(options.get("sid", "")):
        return
    signature = Signature(
        path=str(path),
        line=last_line - len(lines) + 1,
        gid=number(options.get("gid"), 1),
        sid=int(options["sid"]),
        rev=number(options.get("rev"), 0),
        action=found["action"],
        msg=ESCAPE.sub(r"\1", options.get("msg", "").strip('"')),
        classtype=options.get("classtype", ""),
        metadata=values_of(options.get("metadata", "")),
        is_enabled="#" not in found["off"],
    )
    yield RuleText(signature, text, last_line)


def number(text: str | None, default: int) -> int:
    """Return the number that a text is, else a default."""
    return int(text) if text and NUMBER.fullmatch(text) else default


def values_of(metadata: str) -> dict[str, list[str]]:
    """Return the values of each name in a rule's metadata."""
    values: dict[str, list[str]] = {}
    for part in metadata.split(","):
        name, _, value = part.strip().partition(" ")
        if name:
            values.setdefault(name, []).append(value.strip())
    return values
