"""Triages over the API: where all incidents most like a new one were false positives, so is that one.

INFRASPECTRE_KEY=isk_... python triage.py https://127.0.0.1:8440
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from infraspectre.client import Client, pages
from infraspectre.client.operations import NewVerdict

ENOUGH = 3
"""So many alike with a verdict are needed to go by them."""


def triage(client: Client) -> Iterator[tuple[str, str]]:
    """Yield title and outcome of each new incident below high severity, the worst first."""
    for incident in pages(client.list_incidents, filter=["status=new", "level!=high|critical"], order="-value"):
        identity = str(incident.incident_id)
        alike = client.list_similar_incidents(identity).items
        verdicts = [each.verdict for each in alike if each.verdict]
        if len(verdicts) >= ENOUGH and set(verdicts) == {"false_positive"}:
            comment = f"as {len(verdicts)} similar incidents"
            client.give_verdict(identity, NewVerdict(verdict="false_positive", comment=comment))
            yield str(incident.title), "false positive"
        else:
            yield str(incident.title), "left to a person"


if __name__ == "__main__":
    with Client(sys.argv[1], os.environ["INFRASPECTRE_KEY"]) as connected:
        for title, outcome in triage(connected):
            print(f"{outcome:18} {title}")
