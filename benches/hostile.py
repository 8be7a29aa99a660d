"""Hostile events: texts made to break whoever writes or reads them, the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Iterator

import msgspec

from infraspectre.adapters.siem.facts import Facts, Technique
from infraspectre.records.delivery import Outgoing
from infraspectre.records.detection import SEVERITIES
from infraspectre.records.feed import FeedEvent

PIECES = (
    "|", "=", "\\", "\n", "\r", "\t", "\0", "\x1b[2J", '"', "'", "]", "[", "<", ">", ",", ";", "&", "%s", "{", "}",
    "$", " ", "  ", "\u202e", "\u2028", "\u2029", "\u2066", "\x85", "\xa0", "\u3000", "\ufeff", "\u200b", "\ufffd",
    "\U000e0041", "\\n", "\\x41", "\\u0041", "\\\\", "\\|", "\\=", "\\U0010ffff", " cs1=injected", "|injected|",
    "\tsrc=6.6.6.6", "\n<13>1 - - - - - - injected", "\"] injected", "\",\"injected\":\"", "</script>",
    "CEF:0|a|b|c|d|e|5|", "LEEF:2.0|a|b|c|d|", "0 ", "99999 ", "\xe9", "\u65e5\u672c", "\U0001f600", "evil.example",
    "10.0.0.1", "::ffff:10.0.0.1", "x" * 40, "a",
)  # fmt: skip
SURROGATES = ("\ud800", "\udfff", "\udcff")
"""Halves of a pair, which no UTF-8 holds: they can only come from within."""
LARGE = 1 << 20
LARGE_EVERY = 500


class Hostile:
    """Makes hostile events."""

    def __init__(self, seed: int = 1, surrogates: bool = False) -> None:
        """Begin with a seed; surrogates for formats that are not read from JSON."""
        self._random = random.Random(seed)
        self._pieces = PIECES + SURROGATES if surrogates else PIECES
        self._made = 0

    def events(self, count: int) -> Iterator[Facts]:
        """Yield events as formats see them."""
        for _ in range(count):
            self._made += 1
            yield self._facts()

    def outgoing(self, count: int) -> Iterator[Outgoing]:
        """Yield events as the feed tells them, all that is hostile in their records, too."""
        for facts in self.events(count):
            told = {
                "title": facts.title, "detector": facts.rule, "category": facts.category, "orig": facts.orig,
                "resp": facts.resp, "techniques": facts.techniques, "evidence": {"summary": facts.message},
            }  # fmt: skip
            event = msgspec.structs.replace(facts.event, data=msgspec.Raw(msgspec.json.encode(told)))
            yield Outgoing(facts.key, event, "")

    def text(self, most: int = 8) -> str:
        """Return a text of some pieces, at least one sign long."""
        return "".join(self._random.choices(self._pieces, k=self._random.randint(1, most)))

    def _facts(self) -> Facts:
        texts = [self.text() for _ in range(12)]
        if self._made % LARGE_EVERY == 0:
            texts[1] *= LARGE // len(texts[1])
        tenant, message, title, rule, category, subject, orig, resp, entity, technique, name, key = texts
        data = msgspec.Raw(b'{"title":"x"}')
        severity = self._random.choice(SEVERITIES)
        at = "2026-01-01T01:00:00.5Z"
        event = FeedEvent(
            tenant, "behaviour", "detection.found", at, subject, severity, [entity, "10.0.0.5"], data=data
        )
        known = [Technique(technique, name), Technique("T1046", "Network Service Discovery")]
        return Facts(key, event, title, message, rule, category, [orig], [resp], known, 75.25, 80.0, at, at, 1, "")
