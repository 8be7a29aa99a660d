"""Runs benchmarks by name, or all of them, and prints what they measured."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from importlib import import_module

from benches.process import ROOT
from benches.report import Figure, Report, UnavailableError, markdown

BENCHES = {
    "speed": "Packets per CPU-second, full features, against NFStream.",
    "formats": "Events a second on one core in each format of other systems, against json.",
    "sender_kills": "A sender killed 100 times while its receiver is down for 72 hours: whether every event arrives.",
    "stream": "How late events reach 1,000 clients of the stream, and what is lost where connections break.",
    "decision": "From flows that reach the worker to the decision about them, as the feed tells it.",
    "latency": "From the packet that ends a flow to the flow's row in Python.",
    "live": "Packets of an interface without loss, against NFStream, and how soon rows are there.",
    "seam": "From flow batches to numpy and Arrow in Python.",
    "memory": "Peak memory of a scan of a million flows.",
    "repeat": "Outputs of repeated runs, on one core and on two.",
    "startup": "Time to the first help page, and installed size.",
    "signatures": "Alerts compared with those of Suricata on the same captures and rules.",
    "signature_speed": "Packets per CPU-second with 31,232 rules, against NFStream and Suricata.",
    "own_rules": "Flows a second under own rules, and how many public YARA rules are used.",
    "evasion": "Attacks hidden from whoever reassembles otherwise than the receiver, and their benign twins.",
    "sigma": "Sigma rules: events recorded for them, and events per CPU-second with 1,000 rules.",
    "survey": "Every capture of the test data, those that once crashed decoders included.",
    "calibration": "How often intervals hold the outcome on later days, and what probabilities are worth.",
    "detection": "What is found in labelled captures, and false incidents on benign ones.",
    "days": "Attacks found in simulated days of enterprises, and false incidents per day and 1,000 hosts.",
    "beacons": "Beacons found by class: shaken a little, shaken wildly, and every six hours.",
    "dns_exfiltration": "How soon data that leaves in questions for names is found, at 2, 1 and half a byte a second.",
    "families": "Classes of attacks named on rows that have no equal among those learnt.",
    "cascade": "Flows judged by a model a second on one core, and how long a micro-batch takes.",
    "capture_detection": "Labelled captures found with and without a model that learnt nothing from their source.",
    "correlation": "What a detection costs when millions share a value, and what they leave in memory.",
    "event_log": "Entries of the event log signed, appended, read and verified a second, and how soon it opens again.",
    "records": "A million incidents in the store of records: listed, filtered, sorted, counted and written.",
    "investigation": "Comparable incidents and the graph among a million, against a page of the list.",
    "console": "The console in a browser: its first page, and filters among a million incidents.",
    "tables": "Pages of millions of flows, against plain DuckDB.",
    "hosts": "Lists and details of hosts over the API, with many incidents and millions of flows.",
    "sensor_link": "Flows a second from a sensor's spool into the server's log over mutual TLS, against the log alone.",
    "packet_ring": "What keeping packets in a ring costs beside metering them, and how soon a conversation is found.",
    "link_fuzz": "Changed frames, payloads, envelopes and spools of sensors: read or refused, without crash or hang.",
    "record_flips": "Bits of a store of records flipped: whether a wrong answer ever goes unnoticed.",
    "tracing": "What metrics and traces cost the worker and the API.",
    "graph_view": "How soon 10,000 nodes are placed in the console, and how many frames a second they are moved with.",
    "agreement": "Flows compared with those of Zeek, Arkime and nDPI.",
}
PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benches", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(BENCHES)}; all without a name")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    parser.add_argument("--docs", action="store_true", help=f"write the results into {PAGE.relative_to(ROOT)} as well")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(BENCHES):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHES)}")
    reports = {name: measured(name, quiet=arguments.json) for name in arguments.names or BENCHES}
    if arguments.json:
        print(json.dumps({name: asdict(report) for name, report in reports.items()}, indent=1))
    if arguments.docs:
        write_page(reports)
    return 0


def measured(name: str, quiet: bool) -> Report:
    """Run one benchmark and print its tables, unless asked to be quiet."""
    print(f"measuring {name}", file=sys.stderr)
    try:
        report = run_of(name)()
    except UnavailableError as reason:
        report = Report(notes=[f"Not measured: {reason}."])
    if not quiet:
        print(markdown(name, BENCHES[name], report), flush=True)
    return report


def run_of(name: str) -> Callable[[], Report]:
    """Return the function that runs a benchmark; its module is imported only now."""
    if name == "agreement":
        return agreement
    return import_module(f"benches.{name}").measure  # type: ignore[no-any-return]


def agreement() -> Report:
    """Return the share of flows that agree with each peer; `python -m benches.agreement` shows the differences."""
    from benches import agreement, captures

    peers = agreement.measure(captures.test_data(), set(agreement.CHECKS))
    shares = {peer: f"{found['agree']:,} of {found['flows']:,} ({found['ratio']:.2%})" for peer, found in peers.items()}
    return Report([Figure(f"flows that agree with {peer}", share, "", "99%") for peer, share in shares.items()])


def write_page(reports: dict[str, Report]) -> None:
    """Replace the results in the documentation page by these."""
    head, _, rest = PAGE.read_text().partition(BEGIN)
    tail = rest.partition(END)[2]
    body = "\n".join(markdown(name, BENCHES[name], report) for name, report in reports.items())
    PAGE.write_text(f"{head}{BEGIN}\n{body}{END}{tail}")


if __name__ == "__main__":
    sys.exit(main())
