"""nftables: addresses in sets of a table of our own, which the kernel itself empties when leases end."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

from infraspectre.errors import OutputError
from infraspectre.files import make_folder, write_whole
from infraspectre.records.response import Action

TABLE = "inet infraspectre"
RULES = """\
add table {table}
add set {table} blocked4 {{ type ipv4_addr; flags timeout; }}
add set {table} blocked6 {{ type ipv6_addr; flags timeout; }}
add chain {table} input {{ type filter hook input priority -10; policy accept; }}
add chain {table} forward {{ type filter hook forward priority -10; policy accept; }}
add chain {table} output {{ type filter hook output priority -10; policy accept; }}
flush chain {table} input
flush chain {table} forward
flush chain {table} output
add rule {table} input ip saddr @blocked4 drop
add rule {table} input ip6 saddr @blocked6 drop
add rule {table} forward ip saddr @blocked4 drop
add rule {table} forward ip daddr @blocked4 drop
add rule {table} forward ip6 saddr @blocked6 drop
add rule {table} forward ip6 daddr @blocked6 drop
add rule {table} output ip daddr @blocked4 drop
add rule {table} output ip6 daddr @blocked6 drop
"""
"""Can be read again and again: what is there already stays, and rules are written anew."""


class Nftables:
    """Writes rule sets that drop what an address sends and is sent, and loads them only when told."""

    name = "nftables"

    def __init__(
        self, folder: Path, *, loads: bool = False, command: str = "nft", now: Callable[[], int] = time.time_ns
    ) -> None:
        """Write rule sets into a folder, and load them by `command` if it `loads`."""
        self._folder, self._loads, self._command, self._now = folder, loads, command, now

    def preview(self, action: Action) -> str:
        """Return the rule set that would be written."""
        how = f"write and load with '{self._command} -f'" if self._loads else "write, and not load"
        return f"{how} {self._path(action, 'block')}:\n{self._blocking(action)}"

    def run(self, action: Action) -> str:
        """Write the rule set, and load it if told."""
        return self._apply(action, "block", self._blocking(action))

    def undo(self, action: Action) -> str:
        """Write the rule set that frees the address, and load it if told."""
        return self._apply(action, "free", RULES.format(table=TABLE) + _freeing(action))

    def _blocking(self, action: Action) -> str:
        left_s = max(1, round((action.expires_at - self._now()) / 1e9))
        element = f"add element {TABLE} {_set_of(action)} {{ {action.target} timeout {left_s}s }}\n"
        # An element that is there already would keep its old timeout.
        return RULES.format(table=TABLE) + _freeing(action) + element

    def _apply(self, action: Action, what: str, rules: str) -> str:
        path = self._path(action, what)
        make_folder(self._folder)
        write_whole(path, rules.encode())
        if not self._loads:
            return f"wrote {path}; nothing is loaded until '{self._command} -f {path}'"
        self._load(path, action.deadline_s)
        return f"loaded {path}"

    def _load(self, path: Path, deadline_s: float) -> None:
        try:
            done = subprocess.run(  # noqa: S603 - no shell; the file holds addresses and numbers alone
                [self._command, "-f", str(path)], capture_output=True, text=True, timeout=deadline_s, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise OutputError(f"cannot be loaded by {self._command}: {error}", path=path) from error
        if done.returncode:
            raise OutputError(f"is refused by {self._command}: {done.stderr.strip()[:400]}", path=path)

    def _path(self, action: Action, what: str) -> Path:
        return self._folder / f"{action.action_id}-{what}.nft"


def _set_of(action: Action) -> str:
    return f"blocked{ip_address(action.target).version}"


def _freeing(action: Action) -> str:
    """Return how an element is removed that may not be there: it is added first, since else it could not be deleted."""
    element = f"element {TABLE} {_set_of(action)} {{ {action.target} }}\n"
    return f"add {element}delete {element}"
