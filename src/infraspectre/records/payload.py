"""Payloads: what was carried inside flows, put together again, such as bodies of HTTP and attached files."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

PayloadKind = Literal["stream", "http_body", "mail_attachment", "smb_file", "ftp_file", "file"]


class Payload(NamedTuple):
    """Is one object that a flow carried, in pieces as they came."""

    name: str
    """The name of the file, or the address of the request, as the traffic writes it."""
    kind: PayloadKind
    chunks: Iterable[bytes]
    flow_id: int
    started_at: int
    """Event time at which its first bytes were read, in nanoseconds since the epoch."""
    ended_at: int
    orig: str
    resp: str
    packet: int | None = None
    """Number of the packet with which its first bytes were read, from 1; None where that was the end of the flow."""
