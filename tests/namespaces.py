"""Network namespaces made by a test: a pair of interfaces, what is sent at one comes out of the other."""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import subprocess
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

OUTSIDE, INSIDE = "sender", "sensor"
"""The two ends of the pair."""
CLONE_NEWNET = 0x40000000


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@dataclass(frozen=True)
class Namespace:
    """Is a network of its own with a pair of interfaces."""

    name: str

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Let this thread, and threads that it starts, see the interfaces."""
        with Path("/proc/thread-self/ns/net").open() as before, Path("/run/netns", self.name).open() as here:
            enter(here.fileno())
            try:
                yield
            finally:
                enter(before.fileno())

    def link(self, *words: str) -> None:
        ip("-n", self.name, "link", *words)

    def make_pair(self) -> None:
        """Make the pair and bring it up, silent: the kernel says nothing of its own by IPv6."""
        self.link("add", OUTSIDE, "mtu", "9000", "type", "veth", "peer", "name", INSIDE, "mtu", "9000")
        for name in (OUTSIDE, INSIDE):
            self.link("set", name, "addrgenmode", "none")
            self.link("set", name, "arp", "off", "up")

    def send(self, frames: Iterable[bytes], interface: str = OUTSIDE) -> None:
        with self.entered(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
            out.bind((interface, 0))
            for frame in frames:
                out.send(frame)


def enter(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


@contextmanager
def namespace() -> Iterator[Namespace]:
    """Make a namespace for a test, which is skipped where that is not permitted."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and the command ip (iproute2)")
    made = Namespace(f"infraspectre-{uuid.uuid4().hex[:8]}")
    try:
        ip("netns", "add", made.name)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"network namespaces cannot be made here: {error.stderr.decode().strip()}")
    try:
        made.make_pair()
        yield made
    finally:
        ip("netns", "delete", made.name)
