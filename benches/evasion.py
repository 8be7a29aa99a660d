"""Runs captures that hide an attack through the signature engine: `python -m benches.evasion [--show] [--way W]`."""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from benches import evasions, suricata
from benches.evasions import ATTACK, POLICIES, Case
from benches.report import Figure, Report, Table, UnavailableError, markdown
from benches.suricata import Run
from benches.workers import Ended, do_all
from infraspectre.simulation.pcap import write_pcap

LIMIT_S = 10.0
SIDS = {"tcp": 1, "http": 2, "udp": 3}
"""The rule that must fire, by what the attack is in."""
WORD = ATTACK.decode()
RULES = f"""
alert tcp any any -> any any (msg:"in a stream"; flow:established,to_server; content:"{WORD}"; sid:1;)
alert http any any -> any any (msg:"in a request"; flow:established,to_server; http.uri; content:"{WORD}"; sid:2;)
alert udp any any -> any any (msg:"in a datagram"; content:"{WORD}"; sid:3;)
"""
SETTINGS = {**suricata.ANYWHERE, **suricata.VARIABLES, "checksums": "all"}
NOBODY = "words that nobody takes"


@dataclass(frozen=True)
class Reading:
    """Holds which rules fired on a case, how many alerts said that the bytes were contradicted, and any problem."""

    sids: frozenset[int] = frozenset()
    ambiguous: int = 0
    problem: str = ""


@dataclass(frozen=True)
class Result:
    """Holds a case and what the engine made of it."""

    case: Case
    reading: Reading

    @property
    def is_alerted(self) -> bool:
        """Tell whether the rule fired that looks where the attack is."""
        return SIDS[self.case.carrier] in self.reading.sids


def read(case: Case) -> Reading:
    """Run the rules over a case."""
    with TemporaryDirectory(prefix="infraspectre-bench-") as folder:
        capture = Path(folder, "case.pcap")
        write_pcap(capture, case.frames)
        outcome = suricata.events(Run(capture, rules_file(), tuple(SETTINGS.items())))
    sids = frozenset(sid for _, sid in outcome.counts())
    return Reading(sids, sum(suricata.is_ambiguous(event) for event in outcome.events), outcome.problem)


@cache
def rules_file() -> Path:
    """Return the file with the rules, written once in this process."""
    path = Path("evasion.rules").absolute()
    path.write_text(RULES)
    return path


def run(cases: Sequence[Case], jobs: int) -> list[Result]:
    """Run all cases."""
    readings = do_all(read, cases, LIMIT_S, jobs, suricata.leave)
    return [
        Result(case, Reading(problem=str(reading)) if isinstance(reading, Ended) else reading)
        for case, reading in zip(cases, readings, strict=True)
    ]


def report(results: list[Result], twins: list[Result]) -> Report:
    """Return the shares of attacks that are alerted, and the alerts where there is none."""
    attacks = [one for one in results if one.case.is_attack]
    nobody = [one for one in results if one.case.way == NOBODY]
    problems = [one for one in [*results, *twins] if one.reading.problem]
    alerted = [one for one in attacks if one.is_alerted]
    return Report(
        [
            Figure("cases in which some receiver gets the attack", len(attacks), "", "500"),
            Figure("of them alerted", share(len(alerted), len(attacks)), "", "100%"),
            Figure("of those not, alerted in the bytes of the stream alone", sum(map(in_stream_only, attacks))),
            Figure("alerted and marked as ambiguous", sum(bool(one.reading.ambiguous) for one in alerted)),
            Figure("benign twins alerted", share(sum(bool(one.reading.sids) for one in twins), len(twins)), "", "0"),
            Figure(
                "alerted although nobody takes it", share(sum(bool(one.reading.sids) for one in nobody), len(nobody))
            ),
            Figure("cases that crashed, hung or were refused", len(problems), "", "0"),
        ],
        [by_way(attacks), by_receiver(attacks)],
    )


def in_stream_only(one: Result) -> bool:
    """Tell whether an attack in a request was found in the stream, but not by the parser of requests."""
    return not one.is_alerted and SIDS["tcp"] in one.reading.sids


def share(part: int, whole: int) -> str:
    """Return a count of a whole."""
    return f"{part:,} of {whole:,} ({part / (whole or 1):.2%})"


def by_way(attacks: list[Result]) -> Table:
    """Return what is alerted by the way in which the attack is hidden."""
    groups: dict[tuple[str, str], list[Result]] = defaultdict(list)
    for one in attacks:
        groups[one.case.way, one.case.carrier].append(one)
    rows = [(*key, len(group), sum(one.is_alerted for one in group)) for key, group in sorted(groups.items())]
    return Table("By way", ("way", "attack in", "cases", "alerted"), rows)


def by_receiver(attacks: list[Result]) -> Table:
    """Return what is alerted of the overlaps by how the receiver resolves them."""
    rows = []
    for policy in POLICIES:
        group = [one for one in attacks if policy in one.case.receivers]
        alone = [one for one in group if one.case.receivers == (policy,)]
        rows.append((policy, len(group), alerted(group), len(alone), alerted(alone)))
    header = ("receiver", "gets the attack", "alerted", "it alone gets it", "alerted")
    return Table("Overlaps by receiver", header, rows)


def alerted(group: list[Result]) -> int:
    """Return how many are alerted."""
    return sum(one.is_alerted for one in group)


def measure() -> Report:
    """Run all cases and their twins."""
    suricata.require_engine()
    return report(run(evasions.attacks(), jobs=2), run(evasions.twins(), jobs=2))


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benches.evasion", description=__doc__)
    parser.add_argument("--way", default="", help="only cases with this in their way or name")
    parser.add_argument("--show", action="store_true", help="print the attacks that are not alerted, and false alerts")
    parser.add_argument("--jobs", type=int, default=2, help="processes that share the work")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="write the captures that are shown into a folder")
    arguments = parser.parse_args()
    try:
        suricata.require_engine()
    except UnavailableError as reason:
        print(f"evasion: {reason}", file=sys.stderr)
        return 2
    results, twins = (
        run([case for case in cases if arguments.way in f"{case.way}: {case.name}"], arguments.jobs)
        for cases in (evasions.attacks(), evasions.twins())
    )
    shown = [("MISSED", one) for one in results if one.case.is_attack and not one.is_alerted]
    shown += [("FALSE", one) for one in results if one.case.way == NOBODY and one.reading.sids]
    shown += [("FALSE, twin", one) for one in twins if one.reading.sids]
    shown += [(one.reading.problem, one) for one in [*results, *twins] if one.reading.problem]
    if arguments.show:
        for mark, one in shown:
            print(
                f"{mark}  {one.case.way}: {one.case.name}  {'/'.join(one.case.receivers)}  {sorted(one.reading.sids)}"
            )
    if arguments.keep:
        keep([one.case for _, one in shown], arguments.keep)
    print(markdown("evasion", "", report(results, twins)))
    return 0


def keep(cases: Sequence[Case], folder: Path) -> None:
    """Write captures under the names of their cases."""
    folder.mkdir(parents=True, exist_ok=True)
    for case in cases:
        name = "".join(letter if letter.isalnum() else "-" for letter in f"{case.way} {case.name}")
        write_pcap(folder / f"{name}.pcap", case.frames)


if __name__ == "__main__":
    sys.exit(main())
