"""Filters of packets: text in tcpdump's language becomes a program of the kernel, compiled by libpcap."""

from __future__ import annotations

import ctypes
import re
import threading
from functools import cache

from infraspectre.errors import ConfigError

Instruction = tuple[int, int, int, int]
"""Code, jumps if true and if false, operand (classic BPF)."""

NAMES = ("libpcap.so.1", "libpcap.so.0.8", "libpcap.so")
FIELD = "capture.filter"
MOST_CHARACTERS, MOST_INSTRUCTIONS = 8_192, 4_096
"""The kernel takes no longer program (BPF_MAXINSNS)."""
ETHERNET, RAW = 1, 101
RAW_IN_LIBPCAP = 12
"""libpcap numbers some link types otherwise than captures do (DLT_RAW)."""
NO_NETMASK = 0xFFFFFFFF
VLAN = re.compile(r"\bvlan\b")

_compiling = threading.Lock()
"""Versions of libpcap before 1.8 compile one filter at a time."""


class _Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint), ("instructions", ctypes.POINTER(_Instruction)))


def compiled(text: str, link: int = ETHERNET, snap_bytes: int = 262_144) -> list[Instruction]:
    """Return the program of a filter for frames of a link type; raises ConfigError for one that is wrong.

    The kernel takes the outer VLAN tag off before a filter sees a frame, so filters that name VLANs are refused.
    """
    if len(text) > MOST_CHARACTERS or "\0" in text:
        raise ConfigError(f"is longer than {MOST_CHARACTERS:,} characters, or no text", field=FIELD)
    if VLAN.search(text):
        raise ConfigError(
            "names VLANs, whose tags the kernel takes off before",
            field=FIELD,
            remedy="filter by addresses, or listen to the interface of the VLAN",
        )
    pcap = library()
    with _compiling:
        handle = pcap.pcap_open_dead(RAW_IN_LIBPCAP if link == RAW else link, snap_bytes)
        try:
            return program(pcap, handle, text)
        finally:
            pcap.pcap_close(handle)


def program(pcap: ctypes.CDLL, handle: int, text: str) -> list[Instruction]:
    """Compile with an open handle."""
    found = _Program()
    if pcap.pcap_compile(handle, ctypes.byref(found), text.encode(), 1, NO_NETMASK) != 0:
        reason = pcap.pcap_geterr(handle).decode(errors="replace")
        raise ConfigError(f"{text!r} is no filter: {reason}", field=FIELD, remedy="see pcap-filter(7)")
    try:
        if found.length > MOST_INSTRUCTIONS:
            raise ConfigError(f"needs {found.length:,} instructions, more than the kernel takes", field=FIELD)
        return [(one.code, one.jt, one.jf, one.k) for one in found.instructions[: found.length]]
    finally:
        pcap.pcap_freecode(ctypes.byref(found))


@cache
def library() -> ctypes.CDLL:
    """Return libpcap; raises ConfigError where it is not installed."""
    for name in NAMES:
        try:
            pcap = ctypes.CDLL(name)
        except OSError:
            continue
        pcap.pcap_open_dead.restype = ctypes.c_void_p
        pcap.pcap_close.argtypes = [ctypes.c_void_p]
        pcap.pcap_compile.argtypes = [
            ctypes.c_void_p, ctypes.POINTER(_Program), ctypes.c_char_p, ctypes.c_int, ctypes.c_uint32
        ]  # fmt: skip
        pcap.pcap_geterr.argtypes = [ctypes.c_void_p]
        pcap.pcap_geterr.restype = ctypes.c_char_p
        pcap.pcap_freecode.argtypes = [ctypes.POINTER(_Program)]
        return pcap
    raise ConfigError(
        "cannot be compiled without libpcap",
        field=FIELD,
        remedy="install libpcap (Debian: libpcap0.8, Fedora: libpcap), or leave the filter empty",
    )
