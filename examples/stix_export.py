"""Writes each incident of an analysis as a STIX 2.1 bundle, one on each line.

infraspectre analyze traffic.pcap --out report/
python stix_export.py report/ > incidents.stix.jsonl
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from infraspectre.adapters.siem.formats import line_of
from infraspectre.records.delivery import Outgoing
from infraspectre.records.feed import FeedEvent


def bundles(folder: Path) -> Iterator[str]:
    """Yield the bundle of each incident in the folder of an analysis; the same incident gives the same identities."""
    with (folder / "incidents.jsonl").open("rb") as lines:
        for line in lines:
            incident = json.loads(line)
            event = FeedEvent(
                tenant="default",
                channel="threat",
                kind="incident.raised",
                at=incident["raised_at"],
                subject=incident["incident_id"],
                severity=incident["threat_score"]["level"],
                entities=incident["entities"],
                data=msgspec.Raw(line),
            )
            yield line_of(Outgoing(incident["incident_id"], event, ""), "stix")


if __name__ == "__main__":
    for bundle in bundles(Path(sys.argv[1])):
        print(bundle)
