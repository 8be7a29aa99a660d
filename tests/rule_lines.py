"""Rules for tests, as lines of a rule file."""

from __future__ import annotations


def rule(sid: int, msg: str = "said test", content: str = "test", more: str = "") -> str:
    """Return a rule that looks for a text in UDP payloads."""
    return f'alert udp any any -> any any (msg:"{msg}"; content:"{content}"; {more}sid:{sid}; rev:1;)'
