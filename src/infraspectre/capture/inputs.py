"""What an input is: judged by its first bytes, never by its name."""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

from infraspectre.errors import InputError, UsageError

STDIN = "-"
PEEK_BYTES = 65_536
GZIP = b"\x1f\x8b"
GZIP_WINDOW = 31
"""Tells zlib to expect a gzip header (zlib manual, inflateInit2)."""
CAPTURE_MAGICS = (
    b"\xa1\xb2\xc3\xd4", b"\xd4\xc3\xb2\xa1",  # pcap, microseconds (draft-ietf-opsawg-pcap)
    b"\xa1\xb2\x3c\x4d", b"\x4d\x3c\xb2\xa1",  # pcap, nanoseconds
    b"\xa1\xb2\xcd\x34", b"\x34\xcd\xb2\xa1",  # pcap, Kuznetzov's variant
    b"\x0a\x0d\x0d\x0a",  # pcapng
    b"\x28\xb5\x2f\xfd",  # Zstandard (RFC 8878); the core looks inside
)  # fmt: skip
REMEDY = "expected pcap or pcapng (also .gz, .zst), a Zeek log folder, Suricata EVE, or a CICFlowMeter CSV"


class InputKind(StrEnum):
    """Names what an input is."""

    CAPTURE = "capture"
    ZEEK = "Zeek log"
    EVE = "EVE log"
    FLOW_CSV = "flow table"


def classify_all(paths: Sequence[str]) -> InputKind:
    """Return the one kind that all inputs have; raises UsageError where they differ.

    Raises InputError for what cannot be read, except beside captures: those are analyzed, and the rest is reported.
    """
    if not paths:
        raise UsageError("no input given", remedy="name at least one capture, log or folder, or - for stdin")
    kinds: dict[InputKind, str] = {}
    refused: list[InputError] = []
    for path in paths:
        try:
            kinds[classify(path)] = path
        except InputError as error:
            refused.append(error)
    if refused and kinds.keys() != {InputKind.CAPTURE}:
        raise refused[0]
    if len(kinds) > 1:
        mixed = " and ".join(f"{path} ({kind})" for kind, path in sorted(kinds.items()))
        raise UsageError(f"inputs of different kinds: {mixed}", remedy="analyze them one after the other")
    return next(iter(kinds))


def classify(path: str) -> InputKind:
    """Return what an input is; raises InputError for what cannot be opened or is none of the known kinds."""
    if path == STDIN:
        return InputKind.CAPTURE
    place = Path(path)
    try:
        if place.is_dir():
            return folder_kind(place)
        return InputKind.CAPTURE if is_stream(place) else content_kind(peek(place), place)
    except OSError as error:
        raise InputError(f"cannot be opened: {error.strerror or error}", path=path) from error


def is_stream(path: Path) -> bool:
    """Tell whether a path is a pipe, socket or terminal: what is looked at there is gone for whoever reads next."""
    return path.is_fifo() or path.is_socket() or path.is_char_device()


def folder_kind(folder: Path) -> InputKind:
    """Return what a folder holds: Zeek logs if there is a connection log, else captures."""
    names = sorted(entry.name for entry in folder.iterdir())
    if not names:
        raise InputError("is an empty folder", path=folder, remedy="name a folder with captures or Zeek logs")
    return InputKind.ZEEK if any(is_zeek_log(name, "conn") for name in names) else InputKind.CAPTURE


def is_zeek_log(name: str, log: str) -> bool:
    """Tell whether a file name is that of a Zeek log: conn.log, conn.log.gz, conn.10:00:00-11:00:00.log.gz."""
    return name.startswith(f"{log}.") and name.removesuffix(".gz").endswith(".log")


def peek(path: Path) -> bytes:
    """Return the first bytes of a file, after decompression by gzip."""
    with path.open("rb") as file:
        head = file.read(PEEK_BYTES)
    if not head.startswith(GZIP):
        return head
    try:
        return zlib.decompressobj(GZIP_WINDOW).decompress(head, PEEK_BYTES) or head
    except zlib.error:
        return head


def content_kind(head: bytes, path: Path) -> InputKind:
    """Return what the first bytes of a file tell."""
    if not head:
        raise InputError("is empty", path=path, remedy=REMEDY)
    if head.startswith(CAPTURE_MAGICS):
        return InputKind.CAPTURE
    line = head.removeprefix(codecs.BOM_UTF8).split(b"\n", 1)[0].strip()
    if line.startswith(b"#separator") or (line.startswith(b"{") and (b'"id.orig_h"' in line or b'"id_orig_h"' in line)):
        return InputKind.ZEEK
    if line.startswith(b"{") and b'"event_type"' in line:
        return InputKind.EVE
    if is_flow_header(line):
        return InputKind.FLOW_CSV
    raise InputError("is none of the known formats", path=path, remedy=REMEDY)


def is_flow_header(line: bytes) -> bool:
    """Tell whether a line is the header of a CICFlowMeter table, in any of its dialects."""
    names = {name.strip().lower().replace(b"_", b" ") for name in line.split(b",")}
    return b"flow duration" in names and bool(names & {b"destination port", b"dst port"})
