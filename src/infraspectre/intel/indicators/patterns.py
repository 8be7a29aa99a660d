"""Patterns of STIX (STIX 2.1, part 9): those that single flows can show become values, others say why they cannot."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from infraspectre.intel.indicators.values import Typed, endpoint, typed_as
from infraspectre.records.indicators import IndicatorKind

SIMPLE = re.compile(r"\s*\[\s*([\w-]+:[\w.'\-]+)\s*=\s*'((?:[^'\\]|\\.)*)'\s*\]\s*")
"""One comparison with =, as nine in ten indicators are."""
TOKEN = re.compile(
    r"""\s*(?:(?P<text>[tbh]?'(?:[^'\\]|\\.)*')
    |(?P<path>[a-zA-Z][\w-]*:(?:[\w.\-]|\[(?:\*|\d+)\]|'(?:[^'\\]|\\.)*')+)
    |(?P<number>-?\d+(?:\.\d+)?)|(?P<word>[A-Za-z]+)|(?P<mark>!=|<=|>=|[\[\]()=,<>]))""",
    re.VERBOSE,
)
KINDS: dict[str, IndicatorKind] = {
    "ipv4-addr:value": "ip",
    "ipv6-addr:value": "ip",
    "domain-name:value": "domain",
    "domain-name:resolves_to_refs[*].value": "ip",
    "url:value": "url",
    "network-traffic:extensions.'http-request-ext'.request_header.Host": "domain",
}
"""Properties that flows show."""
ENDS = ("src_ref.value", "dst_ref.value")
SHORTEST_FINGERPRINT = 32
"""Characters; shorter values of such properties are parts of fingerprints."""
HASHED: dict[str, IndicatorKind] = {"md5": "md5", "sha1": "sha1", "sha256": "sha256"}
FINGERPRINTS: tuple[IndicatorKind, ...] = ("ja3s", "ja3", "ja4", "hassh_server", "hassh")
RANKS: tuple[IndicatorKind, ...] = (
    "sha256", "sha1", "md5", "url", "domain", "endpoint", "ip", "cidr", "ja4", "ja3", "ja3s", "hassh", "hassh_server"
)  # fmt: skip
"""Of what must hold together the most telling is looked for: it names one thing, the rest describes that."""
MOST_ALTERNATIVES = 256
DEEPEST = 32
LONGEST_PATTERN = 65_536


class Comparison(NamedTuple):
    """Compares a property with a value."""

    path: str
    value: str


Alternatives = list[tuple[Comparison, ...]]
"""Comparisons of which all of one tuple must hold."""


def values_of(pattern: str) -> list[Typed]:
    """Return the values by which a pattern can be found in flows; raises ValueError with the reason there are none."""
    simple = SIMPLE.fullmatch(pattern)
    if simple:
        path, value = simple[1], _plain(simple[2])
        kind = KINDS.get(path)
        return [typed_as(kind, value) if kind else _most_telling((Comparison(path, value),))]
    if len(pattern) > LONGEST_PATTERN:
        raise ValueError("has a pattern that is too long")
    return list(dict.fromkeys(_most_telling(each) for each in Parser(pattern).observations()))


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text) if "\\" in text else text


class Parser:
    """Reads a pattern into alternatives; raises ValueError where it asks for more than a single flow can show."""

    def __init__(self, pattern: str) -> None:
        """Cut a pattern into tokens."""
        self._tokens = [(str(found.lastgroup), found[0].strip()) for found in _tokens(pattern)]
        self._at = 0
        self._depth = 0

    def observations(self) -> Alternatives:
        """Return the alternatives of all observations, which only OR may join."""
        found = self._observation()
        while self._at < len(self._tokens):
            if not self._take("OR"):
                raise ValueError(f"has a pattern that joins observations or times by {self._seen()}")
            found += self._observation()
        return found

    def _observation(self) -> Alternatives:
        if self._take("("):
            found = self._deeper(self._observations_inside)
            self._need(")")
            return found
        self._need("[")
        found = self._either()
        self._need("]")
        return found

    def _observations_inside(self) -> Alternatives:
        found = self._observation()
        while self._take("OR"):
            found += self._observation()
        return found

    def _either(self) -> Alternatives:
        found = self._both()
        while self._take("OR"):
            found += self._both()
            _bounded(len(found))
        return found

    def _both(self) -> Alternatives:
        found = self._comparison()
        while self._take("AND"):
            more = self._comparison()
            _bounded(len(found) * len(more))
            found = [first + second for first in found for second in more]
        return found

    def _comparison(self) -> Alternatives:
        if self._take("("):
            found = self._deeper(self._either)
            self._need(")")
            return found
        path = self._next("path")
        operator = self._seen().upper()
        if operator not in ("=", "IN", "ISSUBSET", "LIKE"):
            raise ValueError(f"has a pattern that compares by {operator}")
        self._at += 1
        values = self._values() if operator == "IN" else [self._value()]
        if operator == "LIKE":
            values = [_below(value) for value in values]
        return [(Comparison(path, value),) for value in values]

    def _values(self) -> list[str]:
        self._need("(")
        values = [self._value()]
        while self._take(","):
            values.append(self._value())
        self._need(")")
        return values

    def _value(self) -> str:
        kind, text = self._tokens[self._at] if self._at < len(self._tokens) else ("", "")
        if kind not in ("text", "number", "word"):
            raise ValueError("has a pattern that is not STIX")
        self._at += 1
        return _plain(text[text.index("'") + 1 : -1]) if kind == "text" else text

    def _deeper(self, read: Callable[[], Alternatives]) -> Alternatives:
        self._depth += 1
        if self._depth > DEEPEST:
            raise ValueError("has a pattern that is nested too deep")
        found = read()
        self._depth -= 1
        return found

    def _next(self, kind: str) -> str:
        if self._at >= len(self._tokens) or self._tokens[self._at][0] != kind:
            raise ValueError(f"has a pattern that says {self._seen() or 'nothing'} where a property is to stand")
        self._at += 1
        return self._tokens[self._at - 1][1]

    def _seen(self) -> str:
        return self._tokens[self._at][1][:32] if self._at < len(self._tokens) else ""

    def _take(self, word: str) -> bool:
        is_there = self._at < len(self._tokens) and self._tokens[self._at][1].upper() == word
        self._at += is_there
        return is_there

    def _need(self, word: str) -> None:
        if not self._take(word):
            raise ValueError(f"has a pattern without {word} where it is to stand")


def _tokens(pattern: str) -> list[re.Match[str]]:
    found, at, end = [], 0, len(pattern.rstrip())
    while at < end:
        token = TOKEN.match(pattern, at)
        if token is None:
            raise ValueError("has a pattern that is not STIX")
        found.append(token)
        at = token.end()
    return found


def _below(text: str) -> str:
    """Return the domain that %.domain is below; any other use of wildcards is refused."""
    domain = text.removeprefix("%.")
    if domain == text or "%" in domain or "_" in domain:
        raise ValueError("has a pattern that compares by LIKE")
    return domain


def _bounded(count: int) -> None:
    if count > MOST_ALTERNATIVES:
        raise ValueError(f"has a pattern of more than {MOST_ALTERNATIVES} alternatives")


def _most_telling(comparisons: Sequence[Comparison]) -> Typed:
    """Return the value by which comparisons that must hold together are found."""
    found = [typed_as(kind, each.value) for each in comparisons if (kind := _kind(each))]
    addresses = {value for kind, value in found if kind in ("ip", "cidr")}
    if not found:
        raise ValueError(f"has a pattern about {comparisons[0].path.partition(':')[0]}, which flows do not show")
    best = min(found, key=lambda each: RANKS.index(each[0]))
    if best[0] in ("ip", "cidr") and len(addresses) > 1:
        raise ValueError("has a pattern that joins several addresses")
    ports = [each.value for each in comparisons if each.path == "network-traffic:dst_port"]
    if best[0] == "ip" and ports and _is_destination(comparisons):
        return typed_as("endpoint", endpoint(best[1], ports[0])) if ports[0].isdigit() else best
    return best


def _is_destination(comparisons: Sequence[Comparison]) -> bool:
    return not any(each.path.endswith("src_ref.value") for each in comparisons)


def _kind(comparison: Comparison) -> IndicatorKind | None:
    """Return what kind of value a comparison tests; None for what only describes, or what flows do not show."""
    path, value = comparison.path, comparison.value
    if path in KINDS:
        return KINDS[path]
    if path.startswith("network-traffic:") and path.endswith(ENDS):
        return "ip" if re.fullmatch(r"[\d.]+(?:/\d+)?|[\da-fA-F:.]*:[\da-fA-F:./]*", value) else "domain"
    if ":hashes." in path:
        return HASHED.get(re.sub(r"[^a-z0-9]", "", path.rpartition(":hashes.")[2].lower()))
    lower = path.lower()
    return next((kind for kind in FINGERPRINTS if kind in lower and len(value) >= SHORTEST_FINGERPRINT), None)
