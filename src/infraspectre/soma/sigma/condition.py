"""The language of conditions: names of searches joined by and, or, not, brackets, and "1 of" and "all of"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase

from infraspectre.errors import InputError
from infraspectre.soma.sigma.rule import Every, Not, Some, Test

TOKEN = re.compile(r"\s*([()|]|[^\s()|]+)")
MAX_TOKENS = 1_000
MAX_DEPTH = 32
WORDS = ("and", "or", "not", "of", "(", ")")


def parse(text: str, searches: Mapping[str, Test]) -> Test:
    """Return the test that a condition makes of named searches; raises InputError for what is no condition.

    Source: Sigma Rules Specification 2.0, section Condition.
    """
    tokens = TOKEN.findall(text)
    if len(tokens) > MAX_TOKENS:
        raise InputError(f"has more than {MAX_TOKENS} words")
    if "|" in tokens:
        raise InputError("counts and near are not part of conditions any more", remedy="write a correlation rule")
    parser = Parser(tokens, searches)
    test = parser.any_of()
    if parser.next:
        raise InputError(f"{parser.next!r} is not expected", remedy="join searches by 'and' or 'or'")
    return test


class Parser:
    """Reads a condition from left to right."""

    def __init__(self, tokens: list[str], searches: Mapping[str, Test]) -> None:
        """Start before the first word."""
        self._tokens = tokens[::-1]
        self._searches = searches
        self._depth = 0

    @property
    def next(self) -> str:
        """Return the next word, as it is written; empty at the end."""
        return self._tokens[-1] if self._tokens else ""

    def any_of(self) -> Test:
        """Read parts joined by or, which binds least."""
        parts = [self.all_of()]
        while self._takes("or"):
            parts.append(self.all_of())
        return Some(tuple(parts)) if len(parts) > 1 else parts[0]

    def all_of(self) -> Test:
        """Read parts joined by and."""
        parts = [self.one()]
        while self._takes("and"):
            parts.append(self.one())
        return Every(tuple(parts)) if len(parts) > 1 else parts[0]

    def one(self) -> Test:
        """Read a part: negated, in brackets, of a group of searches, or a search by its name."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise InputError(f"is nested deeper than {MAX_DEPTH} levels")
        test = self._one()
        self._depth -= 1
        return test

    def _one(self) -> Test:
        if self._takes("not"):
            return Not(self.one())
        if self._takes("("):
            test = self.any_of()
            if not self._takes(")"):
                raise InputError("a bracket is not closed", remedy="write ')' after the part in brackets")
            return test
        if len(self._tokens) > 1 and self._tokens[-2].lower() == "of":
            return self._group()
        return self._search()

    def _group(self) -> Test:
        quantity, _, pattern = (self._tokens.pop() if self._tokens else "" for _ in range(3))
        if quantity.lower() not in ("1", "any", "all"):
            raise InputError(f"{quantity!r} of searches cannot be asked for", remedy="write '1 of' or 'all of'")
        found = tuple(self._searches[name] for name in self._searches if is_meant(name, pattern))
        if not found:
            raise InputError(f"no search is called {pattern!r}", remedy=self._known())
        return Every(found) if quantity.lower() == "all" else Some(found)

    def _search(self) -> Test:
        name = self._tokens.pop() if self._tokens else ""
        if not name or name.lower() in WORDS:
            raise InputError(f"a search is missing before {name or 'the end'!r}", remedy=self._known())
        if name not in self._searches:
            raise InputError(f"no search is called {name!r}", remedy=self._known())
        return self._searches[name]

    def _known(self) -> str:
        return f"there are {', '.join(sorted(self._searches)) or 'none'}"

    def _takes(self, word: str) -> bool:
        """Step over a word if it comes next."""
        if self.next.lower() != word:
            return False
        self._tokens.pop()
        return True


def is_meant(name: str, pattern: str) -> bool:
    """Tell whether a group of searches includes one; those that begin with an underscore are not among `them`."""
    if pattern.lower() == "them":
        return not name.startswith("_")
    return fnmatchcase(name, re.sub(r"([\[?])", r"[\1]", pattern))
