from __future__ import annotations

import pytest

from infraspectre.records.address import is_inside, parse_address


@pytest.mark.parametrize(
    "text", ["10.1.2.3", "172.31.0.1", "192.168.0.1", "169.254.9.9", "127.0.0.1", "fd00::1", "::1"]
)
def test_addresses_that_are_not_routed_are_inside(text: str) -> None:
    assert is_inside(text)


@pytest.mark.parametrize("text", ["203.0.113.9", "172.32.0.1", "8.8.8.8", "2001:db8::1", "example.org", "", "<b>"])
def test_all_else_is_outside(text: str) -> None:
    assert not is_inside(text)


def test_what_is_no_address_is_none() -> None:
    assert parse_address("10.0.0.256") is None
