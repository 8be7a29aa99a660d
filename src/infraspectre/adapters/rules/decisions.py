"""What people decided about rules: which are on, which are off, and whose alerts are suppressed for whom."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from ipaddress import ip_network
from pathlib import Path
from typing import Literal, TypeVar

import msgspec
import yaml

from infraspectre.adapters.rules.files import STATE_FILE, home_of
from infraspectre.documents import read_yaml
from infraspectre.errors import UsageError
from infraspectre.files import write_whole
from infraspectre.records.signatures import Signature

HEAD = "# What was decided about the rules beside this file; the last decision that names a rule holds.\n"
Verb = Literal["enable", "disable", "suppress"]
IDENTITY = re.compile(r"(?:(?P<gid>[0-9]{1,10}):)?(?P<sid>[0-9]{1,10})")
Record = TypeVar("Record")
Track = Literal["by_src", "by_dst", "by_either"]
"""Whose address is compared (Suricata User Guide, "Global-Thresholds": suppress)."""


class Selector(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Names rules by what they say about themselves; everything given must hold."""

    sid: int | None = None
    gid: int = 1
    classtype: str | None = None
    msg: str | None = None
    """A regular expression found in the message, whatever the case of its letters."""
    file: str | None = None
    """The file's name, in which * stands for anything."""
    metadata: str | None = None
    """A name in the metadata, or a name and its value."""

    def __post_init__(self) -> None:
        """Refuse what names no rule; raises ValueError."""
        if all(value is None for value in (self.sid, self.classtype, self.msg, self.file, self.metadata)):
            raise ValueError("names no rules; give sid, classtype, msg, file or metadata")
        try:
            re.compile(self.msg or "")
        except re.error as error:
            raise ValueError(f"msg is no regular expression: {error}") from error

    def __str__(self) -> str:
        given = msgspec.to_builtins(self)
        return ", ".join(f"{name} {value}" for name, value in given.items())

    def takes(self, rule: Signature) -> bool:
        """Tell whether a rule is meant."""
        return (
            (self.sid is None or (self.gid, self.sid) == (rule.gid, rule.sid))
            and self.classtype in (None, rule.classtype)
            and (self.msg is None or re.search(self.msg, rule.msg, re.IGNORECASE) is not None)
            and (self.file is None or fnmatch(Path(rule.path).name, self.file))
            and (self.metadata is None or has_metadata(rule, self.metadata))
        )


def has_metadata(rule: Signature, wanted: str) -> bool:
    """Tell whether a rule's metadata has a name, and the value if there is one after the name."""
    name, _, value = wanted.partition(" ")
    return name in rule.metadata and (not value or value.strip() in rule.metadata[name])


class Decision(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Says what is done with some rules, and why."""

    do: Verb
    rules: Selector
    track: Track | None = None
    ip: str | None = None
    """With `track`, the address, network or variable for which alerts are suppressed."""
    reason: str = ""

    def __post_init__(self) -> None:
        """Refuse what Suricata could not read as a suppression; raises ValueError."""
        if (self.track is None) != (self.ip is None):
            raise ValueError("track and ip belong together: say which address, and whose")
        if self.ip is not None and self.do != "suppress":
            raise ValueError("track and ip belong to suppress alone")
        if self.ip is not None and not is_address(self.ip):
            raise ValueError(f"ip is no address, network or variable: {self.ip}")

    def __str__(self) -> str:
        limit = f" for {self.track} {self.ip}" if self.track else ""
        return f"{self.do} {self.rules}{limit}" + (f": {self.reason}" if self.reason else "")

    def line(self, rule: Signature) -> str:
        """Return the suppression of a rule as a line of Suricata's threshold file."""
        limit = f", track {self.track}, ip {self.ip}" if self.track else ""
        return f"suppress gen_id {rule.gid}, sig_id {rule.sid}{limit}"


def is_address(text: str) -> bool:
    """Tell whether a text is an address, a network in CIDR notation, or the name of a variable such as $HOME_NET."""
    if re.fullmatch(r"\$[A-Za-z_]\w*", text, re.ASCII):
        return True
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True


class Decisions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Holds the decisions about some rules, in the order in which they were made."""

    decisions: tuple[Decision, ...] = ()

    def with_one_more(self, decision: Decision) -> Decisions:
        """Return the decisions with another one, which takes the place of an earlier one about the same."""
        kept = (old for old in self.decisions if not is_replaced(old, decision))
        return Decisions((*kept, decision))


class Decided:
    """Finds the decisions about a rule, however many there are about single rules."""

    def __init__(self, decisions: Decisions) -> None:
        """Sort decisions by the single rule that they mean, if they do."""
        self._about_one: dict[tuple[int, int], list[int]] = {}
        self._about_many: list[int] = []
        self._decisions = decisions.decisions
        for place, decision in enumerate(self._decisions):
            rules = decision.rules
            places = self._about_many if rules.sid is None else self._about_one.setdefault((rules.gid, rules.sid), [])
            places.append(place)

    def about(self, rule: Signature) -> list[Decision]:
        """Return the decisions about a rule in their order."""
        places = sorted(self._about_many + self._about_one.get((rule.gid, rule.sid), []))
        return [self._decisions[place] for place in places if self._decisions[place].rules.takes(rule)]


def is_enabled(rule: Signature, decisions: Sequence[Decision]) -> bool:
    """Tell whether a rule is looked for: the last decision about it counts, else what its file says."""
    switches = [decision.do for decision in decisions if decision.do != "suppress"]
    return switches[-1] == "enable" if switches else rule.is_enabled


def is_replaced(old: Decision, new: Decision) -> bool:
    """Tell whether a decision is about the same as a new one and says nothing beside it."""
    is_same_kind = (old.do == "suppress") == (new.do == "suppress")
    return is_same_kind and (old.rules, old.track, old.ip) == (new.rules, new.track, new.ip)


def state_path(paths: Sequence[Path]) -> Path:
    """Return the file beside rules that holds the decisions about them; raises UsageError where they lie apart."""
    folders = set(map(home_of, paths))
    if len(folders) != 1:
        raise UsageError("the rules lie in different folders", remedy="name the file of decisions with --state")
    return folders.pop() / STATE_FILE


def read_decisions(path: Path) -> Decisions:
    """Read decisions; raises InputError naming file, line and field."""
    return read_yaml(path, Decisions)


def write_decisions(path: Path, decisions: Decisions) -> None:
    """Write decisions into a file that people can read and change."""
    content = msgspec.to_builtins(decisions)
    write_whole(path, (HEAD + yaml.safe_dump(content, sort_keys=False, allow_unicode=True)).encode())


def selector(choice: Mapping[str, str | None]) -> Selector | None:
    """Return what names rules, `rule` by sid or gid:sid; None where nothing is given. Raises UsageError."""
    fields: dict[str, str | int] = {name: text for name, text in choice.items() if text is not None}
    rule = str(fields.pop("rule", ""))
    identity = IDENTITY.fullmatch(rule)
    if rule and not identity:
        raise UsageError(f"{rule!r} is no rule", remedy="give its sid, or gid:sid")
    if identity:
        fields |= {"gid": int(identity["gid"] or 1), "sid": int(identity["sid"])}
    return made(Selector, fields) if fields else None


def decision_of(verb: Verb, choice: Mapping[str, str | None], details: Mapping[str, str | None]) -> Decision:
    """Return a decision; raises UsageError where it is about nothing, or says nothing possible."""
    rules = selector(choice)
    if rules is None:
        raise UsageError("no rule is named", remedy="name rules with --rule, --classtype, --msg, --file or --metadata")
    return made(Decision, {"do": verb, "rules": rules} | {key: text for key, text in details.items() if text})


def made(kind: type[Record], fields: Mapping[str, object]) -> Record:
    """Return a record with these fields; raises UsageError where they say nothing possible."""
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError as error:
        raise UsageError(str(error).partition(" - at `")[0], remedy="--help shows how rules are named") from error
