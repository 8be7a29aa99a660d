"""Captures of one connection for tests, such as a download."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable
from pathlib import Path

from infraspectre.simulation.capture import Behaviour, Capture
from infraspectre.simulation.conversation import TcpConversation
from infraspectre.simulation.hosts import Host
from infraspectre.simulation.pcap import write_pcap
from infraspectre.simulation.protocols import http

MARKER = b"A-HARMLESS-MARKER-THAT-NO-OTHER-FILE-HOLDS"
CLIENT = Host("client", "10.0.0.5", bytes.fromhex("020000000005"), "workstation")
SERVER = Host("server", "203.0.113.9", bytes.fromhex("020000000009"), "server")

Talk = Callable[[TcpConversation], None]


def captured(path: Path, talk: Talk, port: int = 80, loss: float = 0.0) -> Path:
    """Write a capture of one connection."""
    capture = Capture()
    with capture.behaving(Behaviour("test", "benign")):
        conversation = TcpConversation(capture, random.Random(1), (CLIENT, SERVER), (50000, port), 0.0, loss)
        conversation.connect()
        talk(conversation)
        conversation.close()
    write_pcap(path, capture.packets())
    return path


def download(conversation: TcpConversation) -> None:
    """Fetch a packed file of some size that holds the marker across segments."""
    filler = random.Random(2).randbytes(200_000)
    conversation.request(http.request("files.example", "/tools/tool.bin"))
    body = gzip.compress(filler + MARKER + filler)
    conversation.respond(http.response(body=body, kind="application/octet-stream", Content_Encoding="gzip"))
