from __future__ import annotations

import pytest

from infraspectre.reflex.guard import Guard

GUARD = Guard(("198.51.100.0/24", "2001:db8:5::/48"), {"203.0.113.80"}, {"9.9.9.9": "serves names to 7 hosts"})


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("10.0.0.1", "own network"),
        ("fe80::1", "own network"),
        ("127.0.0.1", "single remote host"),
        ("224.0.0.5", "single remote host"),
        ("255.255.255.255", "single remote host"),
        ("0.0.0.0", "single remote host"),
        ("203.0.113.80", "known asset"),
        ("::ffff:10.0.0.1", "own network"),
        ("::ffff:203.0.113.80", "known asset"),
        ("2001:DB8:5:0::7", "protected by the settings"),
        ("9.9.9.9", "serves names to 7 hosts"),
        ("198.51.100.7", "protected by the settings"),
        ("2001:db8:5::7", "protected by the settings"),
        ("fe80::1%eth0", "no address"),
        ("203.0.113.9; reboot", "no address"),
    ],
)
def test_what_must_not_be_blocked_is_refused(target: str, why: str) -> None:
    assert why in (GUARD.refusal(target) or "")


def test_what_may_be_blocked_is_not() -> None:
    assert GUARD.refusal("203.0.113.9") is None
    assert GUARD.refusal("2001:db8::9") is None


def test_nobody_can_force_what_is_no_single_host() -> None:
    assert GUARD.can_be_forced("10.0.0.1")
    assert not any(map(GUARD.can_be_forced, ("x", "127.0.0.1", "224.0.0.5", "0.0.0.0", "fe80::1%x")))
