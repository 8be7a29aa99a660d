"""Guards at the borders: what an attacker wrote into traffic must not act on whoever reads about it."""

from __future__ import annotations

HIDDEN = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}
"""Unicode categories that move a cursor, change colours or reverse the reading order instead of showing a sign."""


def printable(text: str) -> str:
    """Return text that is safe to show on a terminal: control and direction signs are written as escapes."""
    if text.isascii() and text.isprintable():
        return text
    import unicodedata

    return "".join(escaped(sign) if unicodedata.category(sign) in HIDDEN else sign for sign in text)


def escaped(sign: str) -> str:
    """Return a sign's backslash escape."""
    return sign.encode("unicode_escape").decode("ascii")
