"""Write which ATT&CK techniques are proven: a technique counts only if a capture that shows it makes incidents name it.

Usage: python tools/coverage.py [SEED...]. Plays each attack that can be simulated, once for each seed (100 if none is
given), analyzes it, and writes docs/reference/attack-coverage.md and attack-coverage.json, a layer for the ATT&CK
Navigator, of which the package has a copy.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import infraspectre
from infraspectre.intel.attack import attack_table, tactic_name, tactics
from infraspectre.intel.navigator import FORMAT
from infraspectre.records import Technique
from infraspectre.simulation import simulate
from infraspectre.simulation.attacks import ATTACKS
from infraspectre.soma import techniques

ROOT = Path(__file__).resolve().parent.parent
REFERENCE, DATA = ROOT / "docs" / "reference", ROOT / "src" / "infraspectre" / "intel" / "data"
SEEDS = (100,)
HOSTS, DURATION_S = 8, 5_400.0
"""A small site for an hour and a half: long enough for what has to learn what is usual first."""

Proofs = dict[str, list[str]]
"""The attacks whose captures prove a technique, by its identity."""


def main(seeds: Iterable[int]) -> None:
    """Play, analyze and write."""
    shown, named = measure(seeds)
    (REFERENCE / "attack-coverage.md").write_text(page(shown, named), encoding="utf-8")
    text = json.dumps(layer(named), indent=1, ensure_ascii=False)
    for folder in (REFERENCE, DATA):
        (folder / "attack-coverage.json").write_text(text + "\n", encoding="utf-8")


def measure(seeds: Iterable[int]) -> tuple[Proofs, Proofs]:
    """Return which attacks show each technique, and which of them made an incident name it."""
    shown: Proofs = defaultdict(list)
    named: Proofs = defaultdict(list)
    for kind in ATTACKS:
        for seed in seeds:
            true, said = play(kind, seed)
            for identity in true:
                put(shown, identity, kind)
            for identity in true & said:
                put(named, identity, kind)
        print(kind, file=sys.stderr)
    return shown, named


def put(proofs: Proofs, identity: str, kind: str) -> None:
    """Note an attack, once."""
    if kind not in proofs[identity]:
        proofs[identity].append(kind)


def play(kind: str, seed: int) -> tuple[set[str], set[str]]:
    """Return the techniques that an attack shows, and those that incidents about its hosts name."""
    with TemporaryDirectory() as folder:
        out = Path(folder)
        simulate("attack", out, seed, kind=kind, hosts=HOSTS, duration_s=DURATION_S)
        truth = json.loads((out / "labels.json").read_text())
        analysis = infraspectre.analyze(out / "capture.pcap")
        attacks = [each for each in truth["behaviours"] if each["attack"]]
        hosts = {name for each in attacks for part in PARTS for name in each[part]}
        about = [each.incident for each in analysis.incidents if hosts & set(each.incident.entities)]
        said = {technique.id for incident in about for technique in incident.techniques}
        return {identity for each in attacks for identity in each["techniques"]}, said


VERSION = attack_table().version
PARTS = ("attackers", "victims", "control_servers")


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

ATT&CK {VERSION}. A technique counts only if a simulated capture that shows it makes an incident about its hosts
name it. `python tools/coverage.py` writes this page and [a layer](attack-coverage.json) for the ATT&CK Navigator;
`infraspectre simulate attack -O kind=NAME` plays the captures.

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
