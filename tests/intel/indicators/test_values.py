"""Values are read in the form in which flows show them, or refused with a reason."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infraspectre.intel.indicators.values import typed, typed_as


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("198.51.100.7", "ip", "198.51.100.7"),
        ("198[.]51[.]100[.]7", "ip", "198.51.100.7"),
        ("2001:DB8::1", "ip", "2001:db8::1"),
        ("198.51.100.7:8443", "endpoint", "198.51.100.7:8443"),
        ("[2001:db8::1]:443", "endpoint", "[2001:db8::1]:443"),
        ("198.51.100.7/24", "cidr", "198.51.100.0/24"),
        ("198.51.100.7/32", "ip", "198.51.100.7"),
        ("EVIL.Example.", "domain", "evil.example"),
        ("*.evil(.)example", "domain", "evil.example"),
        ("bücher.example", "domain", "xn--bcher-kva.example"),
        ("evil.example:8080", "domain", "evil.example"),
        ("hxxps://evil[.]example/a/b?c=1#d", "url", "evil.example/a/b?c=1"),
        ("http://evil.example:8080/a", "url", "evil.example:8080/a"),
        ("http://user@evil.example:80/a", "url", "evil.example/a"),
        ("http://evil.example/", "domain", "evil.example"),
        ("http://198.51.100.7:81/", "endpoint", "198.51.100.7:81"),
        ("D41D8CD98F00B204E9800998ECF8427E", "md5", "d41d8cd98f00b204e9800998ecf8427e"),
        ("t13d1516h2_8daaf6152771_02713d6af862", "ja4", "t13d1516h2_8daaf6152771_02713d6af862"),
    ],
)
def test_the_form_of_a_value_tells_its_kind(text: str, kind: str, value: str) -> None:
    assert typed(text) == (kind, value)


@pytest.mark.parametrize(
    "text", ["", "com", "localhost", "10.0.0.0/7", "::/8", "1.2.3.999", "-a.example", "/path", "a b", "http://"]
)
def test_what_is_no_indicator_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        typed(text)


def test_a_stated_kind_counts() -> None:
    assert typed_as("ja3", "D41D8CD98F00B204E9800998ECF8427E") == ("ja3", "d41d8cd98f00b204e9800998ecf8427e")
    with pytest.raises(ValueError, match="is no sha1"):
        typed_as("sha1", "abc")


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        kind, value = typed(text)
    except ValueError as error:
        assert str(error)
    else:
        assert typed_as(kind, value) == (kind, value) or kind == "url"


@given(st.one_of(st.integers(0, 2**32 - 1).map(IPv4Address), st.integers(0, 2**128 - 1).map(IPv6Address)))
def test_every_address_is_one(address: IPv4Address | IPv6Address) -> None:
    kind, value = typed(str(address))
    assert kind == "ip"
    assert type(address)(value) == address
