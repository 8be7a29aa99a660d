"""The packets behind alerts: conversations that raised any, picked out of captures."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from infraspectre import _core
from infraspectre.errors import CaptureError

PROTOCOLS = {"TCP": 6, "UDP": 17, "ICMP": 1, "IPv6-ICMP": 58, "SCTP": 132, "GRE": 47, "ESP": 50, "IGMP": 2}
"""Numbers of the IP protocols that Suricata names (IANA, Protocol Numbers); it writes those of others as they are."""
FLOW_PROTOCOLS = {
    "icmp": 1, "igmp": 2, "ipip": 4, "tcp": 6, "udp": 17, "ipv6": 41, "gre": 47, "esp": 50, "ah": 51, "icmp6": 58,
    "eigrp": 88, "ospf": 89, "pim": 103, "vrrp": 112, "sctp": 132, "udplite": 136,
}  # fmt: skip
"""Numbers of the IP protocols by the names that flows give them; of others flows have the number."""
MOST_CONVERSATIONS = 1 << 20
"""Conversations that are remembered; further ones are counted."""

EVER = (-(1 << 63), (1 << 63) - 1)
"""All times."""
MOST_BYTES = (1 << 64) - 1

Conversation = tuple[str, int, str, int, int]
"""Address, port, address, port, and the number of the protocol."""


class Conversations:
    """Remembers between whom alerts were raised."""

    def __init__(self) -> None:
        """Begin with none."""
        self._found: dict[Conversation, None] = {}
        self.surplus = 0

    def note(self, lines: bytes) -> None:
        """Remember the conversations of alerts, given as lines of EVE JSON."""
        for line in lines.splitlines():
            found = conversation(json.loads(line))
            if found is None or found in self._found:
                continue
            if len(self._found) < MOST_CONVERSATIONS:
                self._found[found] = None
            else:
                self.surplus += 1

    def packets(self, paths: Sequence[str]) -> PacketSource:
        """Return the packets of all that are remembered; raises CaptureError when no capture can be opened."""
        return PacketSource(paths, list(self._found))


def conversation(event: dict[str, Any]) -> Conversation | None:
    """Return between whom an event took place; None where it names no addresses."""
    protocol = str(event.get("proto", ""))
    number = PROTOCOLS.get(protocol, int(protocol) if protocol.isdecimal() else None)
    if number is None or "src_ip" not in event or "dest_ip" not in event:
        return None
    return event["src_ip"], event.get("src_port", 0), event["dest_ip"], event.get("dest_port", 0), number


def conversation_of_flow(orig: str, orig_port: int, resp: str, resp_port: int, protocol: str) -> Conversation | None:
    """Return between whom a flow was; None for a protocol without a number."""
    number = FLOW_PROTOCOLS.get(protocol, int(protocol) if protocol.isdecimal() else None)
    return None if number is None else (orig, orig_port, resp, resp_port, number)


class PacketSource:
    """Gives the packets of conversations as a pcapng file, piece by piece."""

    def __init__(
        self,
        paths: Sequence[str],
        conversations: Sequence[Conversation],
        span: tuple[int, int] = EVER,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        """Open the captures; raises CaptureError when none can be opened.

        The first and the last time are nanoseconds since the epoch. What goes beyond `most_bytes` is left out.
        """
        first, last = span
        try:
            self._extractor = _core.PacketExtractor(
                list(paths), conversations, first=first, last=last, most_bytes=most_bytes
            )
        except (OSError, ValueError) as error:
            raise CaptureError(str(error)) from error

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._extractor)

    @property
    def packets(self) -> int:
        """Return how many packets were given so far."""
        return self._extractor.packets()

    @property
    def is_cut(self) -> bool:
        """Tell whether packets were left out for want of room."""
        return self._extractor.is_cut()

    @property
    def unreadable(self) -> dict[str, str]:
        """Return the captures that could not be read to their end, and why."""
        return {str(path): reason for path, reason in self._extractor.unreadable()}
