"""Follows the stream: prints grave incidents as they happen, and goes on where it stopped, also after a restart.

INFRASPECTRE_KEY=isk_... python follow_stream.py https://127.0.0.1:8440
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx

from infraspectre.client.following import follow


def grave(http: httpx.Client, key: str, place: Path) -> Iterator[str]:
    """Yield a line for each incident of high or critical severity; `place` is a file that remembers the position."""
    resume = place.read_text() if place.exists() else ""
    for message in follow(http, key, channels=["threat"], filters=["severity>=high"], resume=resume):
        if message.kind == "gap":
            yield f"some events are lost: {message.data.get('reason')}"
        for event in message.data.get("events", []):
            yield f"{event['at']}  {event['severity']:8}  {event['data'].get('title', event['kind'])}"
        if message.position:  # only now: after a crash, an event comes twice rather than never
            place.write_text(message.position)


if __name__ == "__main__":
    with httpx.Client(base_url=sys.argv[1]) as connected:
        for line in grave(connected, os.environ["INFRASPECTRE_KEY"], Path("position")):
            print(line, flush=True)
