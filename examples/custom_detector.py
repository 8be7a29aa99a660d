"""Adds a detector of one's own to those of the package: clear-text logins that leave the site.

python custom_detector.py traffic.pcap
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import polars as pl

import infraspectre as ins
from infraspectre.axon import Axon
from infraspectre.cortex import Cortex
from infraspectre.pipeline import Pipeline
from infraspectre.records import Decision, Detection, Technique
from infraspectre.reflex import Reflex
from infraspectre.soma import CATALOGUE, Case, Casebook, Finding, Soma, gathered

PORTS = {21: "FTP", 23: "Telnet", 110: "POP3", 143: "IMAP"}
SNIFFING = Technique("T1040", "Network Sniffing")


class ClearTextLogin:
    """Finds sessions of clear-text protocols, each pair of hosts and port a case of its own."""

    name = "clear_text_login"
    columns = frozenset({"resp_payload_bytes"})
    helpful = frozenset[str]()

    def __init__(self) -> None:
        """Remember at most 10,000 cases."""
        self._book: Casebook[tuple[str, str, int], Case] = Casebook(self.name, 10_000, Case, self._judge)

    def detect(self, frame: pl.DataFrame) -> list[Detection]:
        """Return cases that are new with these flows, or have grown much."""
        answered = frame.filter(pl.col("resp_port").is_in(list(PORTS)) & (pl.col("resp_payload_bytes") > 0))
        return self._book.review(list(self._absorbed(answered)))

    def finish(self) -> list[Detection]:
        """Return cases that grew since they were told."""
        return self._book.close()

    def _absorbed(self, frame: pl.DataFrame) -> Iterator[tuple[str, str, int]]:
        for row in gathered(frame, ["orig_ip", "resp_ip", "resp_port"]):
            key = (row["orig_ip"], row["resp_ip"], row["resp_port"])
            self._book[key].absorb(row)
            yield key

    def _judge(self, key: tuple[str, str, int], case: Case) -> Finding | None:
        orig, resp, port = key
        return Finding(
            category="clear_text_login",
            techniques=(SNIFFING,),
            score=0.6,
            orig=orig,
            resp=resp,
            summary=f"{orig} used {PORTS[port]} of {resp}, which anybody on the way can read, {case.flows} times",
            size=case.flows,
            measures={"resp_port": port},
            thresholds={},
        )


def incidents(capture: str) -> list[Decision]:
    """Return the decisions about a capture, with the detector among the others."""
    soma = Soma([*(make() for make in CATALOGUE), ClearTextLogin()])
    pipeline = Pipeline(Axon(), soma, Cortex(), Reflex())
    decisions = [decision for batch in ins.flows(capture) for decision in pipeline.process(batch)]
    latest = {each.incident.incident_id: each for each in [*decisions, *pipeline.finish()]}
    return sorted(latest.values(), key=lambda each: -each.threat_score.value)


if __name__ == "__main__":
    for found in incidents(sys.argv[1]):
        print(f"{found.threat_score.value:5.1f}  {found.incident.title}")
