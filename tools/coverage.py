"""Write which ATT&CK techniques are proven: a technique counts only if a capture that shows it makes incidents name it.

Usage: python tools/coverage.py [SEED...]. Plays each attack that can be simulated, and what else shows techniques,
once for each seed (100 if none is given), analyzes it, and writes docs/reference/attack-coverage.md and
attack-coverage.json, a layer for the ATT&CK Navigator, of which the package has a copy.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import infraspectre
from infraspectre.intel.attack import attack_table, tactic_name, tactics
from infraspectre.intel.navigator import FORMAT
from infraspectre.records import Incident, Technique
from infraspectre.records.times import from_datetime
from infraspectre.simulation import simulate
from infraspectre.simulation.attacks import ATTACKS
from infraspectre.soma import techniques

ROOT = Path(__file__).resolve().parent.parent
REFERENCE, DATA = ROOT / "docs" / "reference", ROOT / "src" / "infraspectre" / "intel" / "data"
SEEDS = (100,)
SMALL: dict[str, Any] = {"hosts": 8, "duration_s": 5_400.0}
"""A small site for an hour and a half: long enough for what has to learn what is usual first."""


class Play(NamedTuple):
    """Names what is played, as it is called in proofs, and with which options."""

    name: str
    scenario: str
    options: dict[str, Any]


def plays() -> Iterator[Play]:
    """Yield every attack with its parameters drawn, then what these draws leave out or have too few hosts for."""
    for kind in ATTACKS:
        yield Play(kind, "attack", SMALL | {"kind": kind})
    yield Play("lateral-movement kind=rdp", "lateral-movement", {"kind": "rdp"})
    yield Play("exfiltration channel=cloud", "exfiltration", {"channel": "cloud", "megabytes": 20.0})
    for attacks in (18, 36):
        yield Play(f"day attacks={attacks}", "day", {"hosts": 40, "duration_s": 7_200.0, "attacks": attacks})


Proofs = dict[str, list[str]]
"""What was played when an incident named a technique, by its identity."""


def main(seeds: Iterable[int]) -> None:
    """Play, analyze and write."""
    shown, named = measure(seeds)
    (REFERENCE / "attack-coverage.md").write_text(page(shown, named), encoding="utf-8")
    text = json.dumps(layer(named), indent=1, ensure_ascii=False)
    for folder in (REFERENCE, DATA):
        (folder / "attack-coverage.json").write_text(text + "\n", encoding="utf-8")


def measure(seeds: Iterable[int]) -> tuple[Proofs, Proofs]:
    """Return which captures show each technique, and which of them made an incident name it."""
    shown: Proofs = defaultdict(list)
    named: Proofs = defaultdict(list)
    for each in plays():
        for seed in seeds:
            for true, found in play(each, seed):
                for identity in true:
                    put(shown, identity, each.name)
                for identity in found:
                    put(named, identity, each.name)
        print(each.name, file=sys.stderr)
    return shown, named


def put(proofs: Proofs, identity: str, name: str) -> None:
    """Note what was played, once."""
    if name not in proofs[identity]:
        proofs[identity].append(name)


def play(chosen: Play, seed: int) -> list[tuple[set[str], set[str]]]:
    """Return of each attack the techniques that it shows, and those that incidents about its hosts and time name.

    What shows a sub-technique shows the technique above it.
    """
    with TemporaryDirectory() as folder:
        out = Path(folder)
        simulate(chosen.scenario, out, seed, **chosen.options)
        truth = json.loads((out / "labels.json").read_text())
        incidents = [each.incident for each in infraspectre.analyze(out / "capture.pcap").incidents]
        return [named_of(each, incidents) for each in truth["behaviours"] if each["attack"]]


def named_of(attack: Mapping[str, Any], incidents: Iterable[Incident]) -> tuple[set[str], set[str]]:
    """Return the techniques of an attack, and those of them or above them that incidents name."""
    true = set(attack["techniques"])
    return true, (true | {each.partition(".")[0] for each in true}) & said(incidents, attack)


def said(incidents: Iterable[Incident], attack: Mapping[str, Any]) -> set[str]:
    """Return the techniques that incidents name which overlap an attack in time and name a host of it."""
    hosts = {name for part in PARTS for name in attack[part]}
    begin, end = (from_datetime(datetime.fromisoformat(attack[name])) for name in ("started_at", "ended_at"))
    about = (each for each in incidents if each.first_seen <= end + GRACE_NS and each.last_seen >= begin)
    return {name.id for each in about if hosts & set(each.entities) for name in each.techniques}


VERSION = attack_table().version
PARTS = ("attackers", "victims", "control_servers")
GRACE_NS = 1_800_000_000_000
"""An incident may begin this long after what it is about: a detector needs time to be sure."""


def claimed() -> dict[str, Technique]:
    """Return the techniques that detectors can name, by identity."""
    found = (each for each in vars(techniques).values() if isinstance(each, Technique))
    return {each.id: each for each in sorted(found)}


def page(shown: Proofs, named: Proofs) -> str:
    """Return the coverage as Markdown."""
    unproven = [each for each in claimed().values() if each.id not in named]
    missed = [identity for identity in sorted(shown) if identity not in named]
    return "\n".join([*HEAD, *matrix(named), "", *listing(UNPROVEN, (f"{e.id} {e.name}" for e in unproven)), "",
                      *listing(MISSED, (f"{identity} {name_of(identity)}: {', '.join(shown[identity])}"
                                        for identity in missed))]) + "\n"  # fmt: skip


HEAD = f"""# ATT&CK coverage

ATT&CK {VERSION}. A technique counts only if a simulated capture that shows it, or a technique below it, makes an
incident about its hosts name it. `python tools/coverage.py` writes this page and [a layer](attack-coverage.json) for
the ATT&CK Navigator. `infraspectre simulate attack -O kind=NAME` plays the captures; those named with an option are of
other scenarios.

| tactic | technique | proven by |
|---|---|---|""".splitlines()
UNPROVEN = "## Named by detectors, and not proven by a simulated capture"
MISSED = "## Shown by a simulated capture, and not named"


def matrix(named: Mapping[str, list[str]]) -> Iterator[str]:
    """Yield the rows of the matrix, in the order of tactics."""
    order = list(attack_table().tactics)
    for tactic in order:
        for identity in sorted(named):
            if tactic in tactics(identity):
                proofs = ", ".join(f"`{kind}`" for kind in named[identity])
                yield f"| {tactic_name(tactic)} | {identity} {name_of(identity)} | {proofs} |"


def listing(title: str, items: Iterable[str]) -> list[str]:
    """Return a section with a list; an empty one says so."""
    lines = [f"- {each}" for each in items]
    return [title, "", *(lines or ["None."])]


def name_of(identity: str) -> str:
    """Return the full name of a technique."""
    return attack_table().techniques.get(identity, ("", []))[0]


def layer(named: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return the coverage as a layer."""
    return {
        "name": "InfraSpectre: proven techniques",
        "versions": {"attack": VERSION.partition(".")[0], **FORMAT},
        "domain": "enterprise-attack",
        "description": "Techniques that incidents about simulated captures name",
        "techniques": [
            {"techniqueID": identity, "score": len(proofs), "comment": ", ".join(proofs), "enabled": True}
            for identity, proofs in sorted(named.items())
        ],
        "gradient": {"colors": ["#c6e6d1", "#1c6a3c"], "minValue": 1, "maxValue": 5},
    }


if __name__ == "__main__":
    main([int(each) for each in sys.argv[1:]] or SEEDS)
