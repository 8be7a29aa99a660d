"""What Suricata is known to alert on: its verification suite, its rules merged into one set, and a public rule set."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from benches.captures import test_data
from benches.report import UnavailableError
from infraspectre import _core
from infraspectre.adapters.suricata_config import read_config

ENGINE: Any = _core
"""The core, whose signatures a build may lack; see `require_engine`."""
Event = dict[str, Any]
Settings = dict[str, str]

GROUPS = "vars.address-groups."
HOME = {
    f"{GROUPS}HOME_NET": "[192.168.0.0/16,10.0.0.0/8,172.16.0.0/12]",
    f"{GROUPS}EXTERNAL_NET": "!$HOME_NET",
}
ANYWHERE = {f"{GROUPS}HOME_NET": "any", f"{GROUPS}EXTERNAL_NET": "any"}
SERVERS = ("HTTP", "SMTP", "SQL", "DNS", "TELNET", "DC", "DNP3", "MODBUS", "ENIP")
VARIABLES = {
    **{f"{GROUPS}{name}_SERVERS": "$HOME_NET" for name in SERVERS},
    f"{GROUPS}AIM_SERVERS": "$EXTERNAL_NET",
    **{f"{GROUPS}{name}_CLIENT": "$HOME_NET" for name in ("DNP3", "MODBUS", "ENIP")},
    f"{GROUPS}ENIP_SERVER": "$HOME_NET",
    **{
        f"vars.port-groups.{name}_PORTS": ports
        for name, ports in {
            "HTTP": "80", "SHELLCODE": "!80", "ORACLE": "1521", "SSH": "22", "DNP3": "20000", "MODBUS": "502",
            "FILE_DATA": "[$HTTP_PORTS,110,143]", "FTP": "21", "GENEVE": "6081", "VXLAN": "4789", "TEREDO": "3544",
            "SIP": "[5060,5061]",
        }.items()
    },
}  # fmt: skip
"""The variables beside HOME_NET and EXTERNAL_NET in the suricata.yaml that Suricata comes with."""
UNCHECKED = {"checksums": "none"}


def is_ambiguous(event: Event) -> bool:
    """Tell whether an alert says that only some receivers get the bytes that it found."""
    return bool(event.get("alert", {}).get("ambiguous"))


@dataclass(frozen=True)
class Outcome:
    """Holds what a run of the engine over one capture gave; `problem` says why there is nothing."""

    events: list[Event] = field(default_factory=list)
    problem: str = ""
    refused: list[dict[str, Any]] = field(default_factory=list)

    def certain(self) -> Outcome:
        """Return the outcome without the alerts of views of the bytes that Suricata does not take."""
        return replace(self, events=[event for event in self.events if not is_ambiguous(event)])

    def counts(self) -> Counter[tuple[int, int]]:
        """Return how often each rule fired, by (gid, sid)."""
        return Counter(
            (event["alert"]["gid"], event["alert"]["signature_id"])
            for event in self.events
            if event.get("event_type") == "alert"
        )


@dataclass(frozen=True)
class Run:
    """Names a capture, its rules and the settings under which Suricata read it."""

    capture: Path
    rules: Path
    settings: tuple[tuple[str, str], ...]


def labels() -> Settings:
    """Return the settings that name the classes and references of rules."""
    rules = test_data() / "rules"
    return {
        "classification-file": str(rules / "classification.config"),
        "reference-config-file": str(rules / "reference.config"),
        "reference-file": str(rules / "reference.config"),
    }


def verify_tests() -> list[dict[str, Any]]:
    """Return the tests of Suricata's verification suite with what Suricata gave."""
    tests: list[dict[str, Any]] = json.loads((suite() / "index.json").read_text())["tests"]
    return tests


def suite() -> Path:
    """Return the folder of the verification suite."""
    return test_data() / "suricata-verify"


def verify_run(test: dict[str, Any]) -> Run:
    """Return how the engine must be run for a test of the suite."""
    folder = suite() / "tests" / test["test"]
    config = read_config(suite() / test["config"], skip_missing=True) if test["config"] else {}
    settings = {
        **HOME,
        **VARIABLES,
        "checksums": "none" if test["checksum"] == "none" else "all",
        "default-rule-path": str(folder),
        **config,
        **labels(),
        **test["settings"],
        **other_arguments(test["suricata_args"]),
        **({"mode": "ips"} if test["ips"] else {}),
    }
    expanded = {name: text.replace("${TEST_DIR}", str(folder)) for name, text in settings.items()}
    return Run(suite() / test["pcap"], suite() / test["rules"], tuple(expanded.items()))


def other_arguments(arguments: list[str]) -> Settings:
    """Return what arguments of Suricata say beside the settings: how it runs, and a packet filter."""
    settings: Settings = {}
    words: list[str] = []
    tokens = iter(" ".join(arguments).split())
    for token in tokens:
        if token in ("--set", "-k"):
            next(tokens, None)
        elif token.startswith("--runmode="):
            settings["runmode"] = token.partition("=")[2]
        elif not token.startswith("-"):
            words.append(token)
    return settings | ({"bpf-filter": " ".join(words)} if words else {})


def merged_settings() -> Settings:
    """Return the settings of the run over the merged rules."""
    return {**ANYWHERE, **VARIABLES, **UNCHECKED, **labels(), "packet-alert-max": "65535"}


def open_settings() -> Settings:
    """Return the settings of the run over the public rule set."""
    return {**ANYWHERE, **VARIABLES, **UNCHECKED, **labels()}


def require_engine() -> None:
    """Raise UnavailableError where the core was built without signatures."""
    if not hasattr(ENGINE, "RuleSet"):
        raise UnavailableError("this build of the core has no signatures")


@cache
def rule_set(rules: Path, settings: tuple[tuple[str, str], ...]) -> Any:
    """Return rules, compiled once in this process."""
    return ENGINE.RuleSet([str(rules)], settings=dict(settings))


def leave() -> None:
    """Work in a folder of its own, so that data sets which rules save lie nowhere else."""
    os.chdir(mkdtemp(prefix="infraspectre-bench-"))


def events(run: Run) -> Outcome:
    """Run rules over a capture; errors are part of the result."""
    refused: list[dict[str, Any]] = []
    try:
        rules = rule_set(run.rules, run.settings)
        refused = list(rules.refused)
        return Outcome(list(read(run, rules)), refused=refused)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - a panic of the core is no Exception, and a result as well
        return Outcome(problem=f"{type(error).__name__}: {error}", refused=refused)


def read(run: Run, rules: Any) -> Iterator[Event]:
    """Yield the EVE events that rules give on a capture."""
    for lines in ENGINE.AlertReader([str(run.capture)], rules, settings=dict(run.settings), read_ahead=False):
        yield from map(json.loads, lines.splitlines())


@dataclass(frozen=True)
class Firing:
    """Holds how often each rule fired on a capture, the problem if there was one, and how long it took."""

    counts: Counter[int] = field(default_factory=Counter)
    problem: str = ""
    seconds: float = 0.0


def fired(run: Run) -> Firing:
    """Run rules over a capture and keep the counts alone."""
    started = time.monotonic()
    outcome = events(run).certain()
    counts: Counter[int] = Counter()
    for (_, sid), count in outcome.counts().items():
        counts[sid] += count
    return Firing(counts, outcome.problem, time.monotonic() - started)


OTHER_NAMES = {"kerberos": "krb5"}
"""What Suricata calls protocols that flow records name otherwise."""


def protocols(capture: Path) -> set[str]:
    """Return the application protocols of the flows of a capture, under Suricata's names."""
    import polars as pl

    reader = _core.FlowReader([str(capture)], features="base", read_ahead=False)
    names = {name for batch in reader for name in pl.DataFrame(batch)["app_protocol"].drop_nulls().unique()}
    return {OTHER_NAMES.get(name, name) for name in names}
