"""Measures how far flow records agree with those of Zeek, Arkime and nDPI on the same captures.

Run as `python -m benches.agreement`; INFRASPECTRE_TEST_DATA names the folder that holds `net/`. `--show` lists the
differences. A check that fails because a peer defines something differently is not compared; each reason is named and
counted, and `identical` counts the flows that needed none.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from benches.checks import CHECKS, Check, Row, check_flow, end_of, excuse
from benches.peers import Case, Identity, Record, cases, identity
from infraspectre import _core

FOREVER_S = 1e6
IDLE = ("tcp_idle_s", "udp_idle_s", "other_idle_s", "tcp_half_open_idle_s")
# None of the peers has an active timeout; Arkime's idle timeouts are longer; nDPI, reading a file, has none.
TIMEOUTS = {
    "zeek": {"active_s": FOREVER_S},
    "arkime": dict.fromkeys(IDLE[:3], FOREVER_S) | {"active_s": FOREVER_S},
    "ndpi": dict.fromkeys(IDLE, FOREVER_S) | {"active_s": FOREVER_S, "linger_s": FOREVER_S},
}


@dataclass
class Comparison:
    """Holds the checks of one flow of one capture."""

    case: Case
    identity: Identity
    checks: list[Check]

    @property
    def compared(self) -> list[Check]:
        """Return the checks whose definitions coincide, or that agree nevertheless."""
        return [check for check in self.checks if check.agrees or not check.excluded]

    @property
    def agrees(self) -> bool:
        """Tell whether all that was compared agrees."""
        return all(check.agrees for check in self.compared)

    @property
    def is_identical(self) -> bool:
        """Tell whether everything agrees, differences of definition included."""
        return all(check.agrees for check in self.checks)


def our_rows(case: Case) -> tuple[list[Row], int]:
    """Return our flows of a capture, read with the peer's timeouts, and the count of malformed packets."""
    reader = _core.FlowReader([str(case.capture)], features="full", read_ahead=False, options=TIMEOUTS[case.peer])
    rows = [row for batch in reader for row in pl.DataFrame(batch).select(COLUMNS).to_dicts()]
    return rows, sum(reader.summary()["malformed"].values())


COLUMNS = pl.selectors.exclude(
    pl.selectors.starts_with("packet_gaps", "packet_flags", "flow_", "active_", "idle_")
) & ~pl.selectors.contains("damped", "histogram")


def compare(case: Case) -> list[Comparison]:
    """Compare all flows that a peer recorded of a capture with ours."""
    ours: dict[Identity, list[Row]] = defaultdict(list)
    rows, malformed = our_rows(case)
    for row in rows:
        ours[identity(row["protocol"], end_of(row, "orig", case.peer), end_of(row, "resp", case.peer))].append(row)
    theirs: dict[Identity, list[Record]] = defaultdict(list)
    for record in case.read():
        theirs[record_identity(record, ours)].append(record)
    return [
        Comparison(case, flow, [excuse(case, check) for check in check_flow(case.peer, group, rows, malformed)])
        for flow, records in theirs.items()
        for group, rows in pair(records, ours.get(flow, []))
    ]


def record_identity(record: Record, ours: dict[Identity, list[Row]]) -> Identity:
    """Return the identity of a peer's flow; where its log names no transport, the one under which we know it."""
    candidates = [
        identity(name, record.orig, record.resp) for name in ([record.protocol] if record.protocol else ["tcp", "udp"])
    ]
    return next((candidate for candidate in candidates if candidate in ours), candidates[0])


def pair(records: list[Record], rows: list[Row]) -> Iterator[tuple[list[Record], list[Row]]]:
    """Match flows of one identity by their packets where both sides cut them alike, else all with all."""
    records = sorted(records, key=lambda record: record.packets or 0)
    rows = sorted(rows, key=lambda row: int(row["orig_packets"] + row["resp_packets"]))
    alike = [record.packets for record in records] == [row["orig_packets"] + row["resp_packets"] for row in rows]
    if alike or len(records) == len(rows) == 1:
        for record, row in zip(records, rows, strict=True):
            yield [record], [row]
    else:
        yield records, rows


@dataclass
class Tally:
    """Counts flows and checks of one peer."""

    captures: int = 0
    flows: int = 0
    agreeing: int = 0
    identical: int = 0
    fields: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    excluded: Counter[str] = field(default_factory=Counter)
    differences: list[dict[str, Any]] = field(default_factory=list)

    def add(self, comparison: Comparison) -> None:
        """Count one flow."""
        if comparison.compared:
            self.flows += 1
            self.agreeing += comparison.agrees
            self.identical += comparison.is_identical
        for check in comparison.checks:
            if check.excluded and not check.agrees:
                self.excluded[f"{check.field}: {check.excluded}"] += 1
                continue
            self.fields[check.field]["agree" if check.agrees else "differ"] += 1
            if not check.agrees:
                self.differences.append(difference(comparison, check))

    def summary(self) -> dict[str, Any]:
        """Return the counts, by field and by exclusion."""
        fields = {
            name: dict(count) | {"ratio": count["agree"] / count.total()} for name, count in sorted(self.fields.items())
        }
        ratio = self.agreeing / self.flows if self.flows else None
        return {"captures": self.captures, "flows": self.flows, "agree": self.agreeing, "ratio": ratio} | {
            "identical": self.identical,
            "fields": fields,
            "excluded": dict(sorted(self.excluded.items())),
            "differences": self.differences,
        }


def difference(comparison: Comparison, check: Check) -> dict[str, Any]:
    """Describe a check that failed."""
    protocol, low, high = comparison.identity
    flow = f"{protocol} {low[0]}:{low[1]} {high[0]}:{high[1]}"
    shown = {"field": check.field, "theirs": check.theirs, "ours": check.ours}
    return {"case": comparison.case.name, "capture": comparison.case.capture.name, "flow": flow} | {
        name: sorted(map(str, value)) if isinstance(value, set) else value for name, value in shown.items()
    }


def measure(root: Path, peers: set[str]) -> dict[str, dict[str, Any]]:
    """Compare every capture that a peer recorded; `root` is the folder `net` of the test data."""
    tallies: dict[str, Tally] = defaultdict(Tally)
    for case in cases(root):
        if case.peer in peers:
            tallies[case.peer].captures += 1
            for comparison in compare(case):
                tallies[case.peer].add(comparison)
    return {peer: tally.summary() for peer, tally in tallies.items()}


def show(result: dict[str, dict[str, Any]], differences: int) -> None:
    """Print the result as tables."""
    for peer, summary in sorted(result.items()):
        print(f"\n{peer}: {summary['captures']} captures, {summary['flows']} flows; {summary['agree']} agree", end="")
        print(f" ({summary['ratio']:.2%}), {summary['identical']} of them in all fields of the peer")
        for name, count in summary["fields"].items():
            print(f"  {name:28}{count.get('agree', 0):7}{count.get('differ', 0):7}{count['ratio']:9.2%}")
        for reason, count in summary["excluded"].items():
            print(f"  not compared {count:6}  {reason}")
        for entry in summary["differences"][:differences]:
            print(
                f"  {entry['case']}  {entry['flow']}  {entry['field']}: theirs {entry['theirs']}, ours {entry['ours']}"
            )


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--peer", action="append", choices=sorted(CHECKS), help="compare with this peer only; may be repeated"
    )
    parser.add_argument("--show", type=int, default=0, metavar="N", help="print the first N differences of each peer")
    parser.add_argument("--json", action="store_true", help="print the result as JSON, with all differences")
    arguments = parser.parse_args()
    data = os.environ.get("INFRASPECTRE_TEST_DATA")
    if not data:
        print("agreement: set INFRASPECTRE_TEST_DATA to the folder that holds net/", file=sys.stderr)
        return 2
    result = measure(Path(data) / "net", set(arguments.peer or CHECKS))
    if arguments.json:
        print(json.dumps(result, indent=1, default=str))
    else:
        show(result, arguments.show)
    return 0


if __name__ == "__main__":
    sys.exit(main())
