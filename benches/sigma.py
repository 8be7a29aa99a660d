"""Sigma rules: the events that their authors recorded for them, and how many events a second 1,000 rules take."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from benches.captures import test_data
from benches.process import CACHE, checked
from benches.report import UnavailableError
from infraspectre.soma.sigma.compile import RuleSet
from infraspectre.soma.sigma.events import Events, Rows
from infraspectre.soma.sigma.rule import LogSource

Event = dict[str, Any]

SYSMON = "Microsoft-Windows-Sysmon/Operational"
CATEGORIES = {
    1: ("process_creation",),
    2: ("file_change",),
    3: ("network_connection",),
    6: ("driver_load",),
    7: ("image_load",),
    8: ("create_remote_thread",),
    10: ("process_access",),
    11: ("file_event",),
    12: ("registry_event", "registry_add", "registry_delete"),
    13: ("registry_event", "registry_set"),
    14: ("registry_event", "registry_rename"),
    15: ("create_stream_hash",),
    17: ("pipe_created",),
    18: ("pipe_created",),
    22: ("dns_query",),
    23: ("file_delete",),
    26: ("file_delete",),
}
# Categories of Sysmon's events (Sigma Taxonomy Appendix 2.1).
CHANNELS = {
    SYSMON: "sysmon",
    "Security": "security",
    "System": "system",
    "Application": "application",
    "Windows PowerShell": "powershell-classic",
    "Microsoft-Windows-PowerShell/Operational": "powershell",
    "Microsoft-Windows-TaskScheduler/Operational": "taskscheduler",
    "Microsoft-Windows-WMI-Activity/Operational": "wmi",
    "Microsoft-Windows-Windows Defender/Operational": "windefend",
}
POWERSHELL = {("powershell", 4103): "ps_module", ("powershell", 4104): "ps_script"}


class Expected(NamedTuple):
    """States how many events of a recording a rule must match."""

    rule: str
    events: list[Event]
    matches: int


def intel() -> Path:
    """Return the folder of the Sigma rules in the test data."""
    folder = test_data().parent / "intel" / "rules_sigma"
    if not folder.is_dir():
        raise UnavailableError("the test data has no intel/rules_sigma")
    return folder


def unpacked(name: str) -> Path:
    """Unpack an archive of the test data once, and return its folder."""
    folder = CACHE / "sigma" / name
    if not folder.is_dir():
        partial = folder.with_name(f".{name}.partial")
        partial.mkdir(parents=True, exist_ok=True)
        try:
            checked(["tar", "--zstd", "-xf", intel() / f"{name}.tar.zst", "-C", partial], cores=None)
        except OSError as error:
            raise UnavailableError("tar with zstd is missing") from error
        partial.rename(folder)
    return folder


def recordings() -> Iterator[Expected]:
    """Yield the events that were recorded for rules, and how many of them each must match."""
    root = unpacked("regression_json_public")
    for info in sorted(root.rglob("info.yml")):
        about = yaml.safe_load(info.read_text())
        for rule, test in zip(about["rule_metadata"], about["regression_tests_info"], strict=False):
            log = (root / test["path"]).with_suffix(".json")
            yield Expected(rule["id"], [plain(event) for event in objects(log.read_text())], test.get("match_count", 1))


def objects(text: str) -> Iterator[Event]:
    """Yield the JSON objects that follow one another in a text."""
    decoder, at = json.JSONDecoder(), 0
    while at < len(text):
        value, at = decoder.raw_decode(text, at)
        yield value
        at += len(text[at:]) - len(text[at:].lstrip())


def plain(event: Event) -> Event:
    """Return a Windows event with the field names of Sigma: those of its data, and of its header with underscores."""
    system = event["Event"]["System"]
    fields: Event = {}
    for name, value in system.items():
        if isinstance(value, dict):
            fields |= {f"{name}_{key}": inner for key, inner in value.get("#attributes", {}).items()}
            value = value.get("#text")
        fields[name] = value
    for part in ("EventData", "UserData"):
        fields |= flat(event["Event"].get(part) or {})
    return fields


def flat(data: Event) -> Event:
    """Return the data of an event without its inner objects and without blanks in names, as rules name them."""
    found: Event = {}
    for name, value in data.items():
        found |= flat(value) if isinstance(value, dict) else {name.replace(" ", ""): value}
    return found


def sources(event: Event) -> list[LogSource]:
    """Return the log sources to which a Windows event belongs."""
    service, number = CHANNELS.get(event["Channel"]), int(event["EventID"])
    categories = CATEGORIES.get(number, ()) if service == "sysmon" else (POWERSHELL.get((service or "", number)),)
    return [LogSource(category, "windows", service) for category in categories or (None,)]


def by_source(events: Sequence[Event]) -> dict[LogSource, Rows]:
    """Return which events belong to which log source."""
    found: dict[LogSource, Rows] = defaultdict(int)
    for number, event in enumerate(events):
        for source in sources(event):
            found[source] |= 1 << number
    return found


def regression(rules: RuleSet) -> list[tuple[Expected, int]]:
    """Return each recording with the number of its events that its rule matches."""
    expected = list(recordings())
    events = [event for one in expected for event in one.events]
    found = {rule.head.id: rows for rule, rows in rules.matches(Events.of(events), by_source(events))}
    measured, first = [], 0
    for one in expected:
        rows = found.get(one.rule, 0) >> first & (1 << len(one.events)) - 1
        measured.append((one, rows.bit_count()))
        first += len(one.events)
    return measured
