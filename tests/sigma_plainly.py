"""Sigma in the plainest way, one event after another: what the compiled rules are compared with.

It shares no code with the product: values become regular expressions of Python, conditions expressions of Python.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from itertools import product
from typing import Any

Event = Mapping[str, Any]


def matches(detection: Mapping[str, Any], event: Event) -> bool:
    """Tell whether the detection of a rule matches an event."""
    found = {name: search(value, event) for name, value in detection.items() if name not in ("condition", "timeframe")}
    conditions = detection["condition"]
    return any(condition(text, found) for text in (conditions if isinstance(conditions, list) else [conditions]))


def condition(text: str, found: Mapping[str, bool]) -> bool:
    def group(match: re.Match[str]) -> str:
        names = [
            name for name in found if (not name.startswith("_") if match[2] == "them" else fnmatchcase(name, match[2]))
        ]
        return f" {('all' if match[1] == 'all' else 'any')}([{','.join(str(found[name]) for name in names)}]) "

    text = re.sub(r"\b(1|all|any) of (\S+?)(?=[\s()]|$)", group, text)
    words = re.findall(r"[()\[\],]|[^\s()\[\],]+", text)
    python = [
        str(found[word]) if word in found else word.lower() if word.lower() in ("and", "or", "not") else word
        for word in words
    ]
    return bool(eval(" ".join(python), {"any": any, "all": all}))


def search(value: Any, event: Event) -> bool:
    if isinstance(value, Mapping):
        return all(item(str(key), each, event) for key, each in value.items())
    if isinstance(value, list):
        return any(search(each, event) for each in value)
    return item("", value, event)


def item(key: str, value: Any, event: Event) -> bool:
    field, *modifiers = key.split("|")
    join = all if "all" in modifiers else any
    held = join(one(field, modifiers, each, event) for each in (value if isinstance(value, list) else [value]))
    return not held if "neq" in modifiers else held


def texts_of(field: str, event: Event) -> list[str]:
    values = [event.get(field)] if field else list(event.values())
    flat = [each for value in values for each in (value if isinstance(value, list) else [value]) if each is not None]
    return [str(each).lower() if isinstance(each, bool) else str(each) for each in flat]


def one(field: str, modifiers: list[str], value: Any, event: Event) -> bool:
    present = texts_of(field, event)
    if "exists" in modifiers:
        return bool(present) is bool(value)
    if value is None:
        return not present
    text = str(value).lower() if isinstance(value, bool) else str(value)
    for name, holds in (("lt", float.__lt__), ("lte", float.__le__), ("gt", float.__gt__), ("gte", float.__ge__)):
        if name in modifiers:
            return any(holds(float(each), float(text)) for each in present if re.fullmatch(r"-?\d+(\.\d+)?", each))
    if "cidr" in modifiers:
        return any(address(each) in ipaddress.ip_network(text, strict=False) for each in present if address(each))
    if "re" in modifiers:
        flags = "".join(flag for flag in "ims" if flag in modifiers)
        return any(compiled(f"(?{flags}){text}" if flags else text, 0).search(each) for each in present)
    if "fieldref" in modifiers:
        return any(placed(modifiers, re.escape(other), each) for other in texts_of(text, event) for each in present)
    return any(
        placed(modifiers, pattern, each, keyword=not field) for pattern in patterns(text, modifiers) for each in present
    )


compiled = lru_cache(maxsize=None)(re.compile)


def placed(modifiers: list[str], pattern: str, text: str, keyword: bool = False) -> bool:
    before = "" if "startswith" in modifiers or not ({"contains", "endswith"} & set(modifiers) or keyword) else ".*"
    after = "" if "endswith" in modifiers or not ({"contains", "startswith"} & set(modifiers) or keyword) else ".*"
    flags = re.DOTALL if "cased" in modifiers else re.DOTALL | re.IGNORECASE
    return compiled(before + pattern + after, flags).fullmatch(text) is not None


def address(text: str) -> Any:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def patterns(text: str, modifiers: list[str]) -> list[str]:
    """Return the regular expressions that stand for a value."""
    return list(spellings(text, tuple(modifiers)))


@cache
def spellings(text: str, modifiers: tuple[str, ...]) -> list[str]:
    spelled = [text]
    if "windash" in modifiers:
        pieces = re.split(r"\B[-/\u2013\u2014\u2015]\b", text)
        spelled = [
            "".join(a + b for a, b in zip(pieces, (*dashes, ""), strict=True))
            for dashes in product("-/\u2013\u2014\u2015", repeat=len(pieces) - 1)
        ]
    if {"base64", "base64offset"} & set(modifiers):
        return [re.escape(each) for word in spelled for each in in_base64(plain(word), list(modifiers))]
    return [glob(each) for each in spelled]


def plain(text: str) -> str:
    return re.sub(r"\\([\\*?])", r"\1", text)


def in_base64(text: str, modifiers: list[str]) -> list[str]:
    codec = {"wide": "utf-16-le", "utf16le": "utf-16-le", "utf16be": "utf-16-be"}
    names = [codec[name] for name in modifiers if name in codec]
    data = text.encode(names[0] if names else "utf-8")
    if "base64" in modifiers:
        return [base64.b64encode(data).decode()]
    starts, ends = (0, 2, 3), (None, -3, -2)
    return [
        base64.b64encode(b" " * shift + data)[starts[shift] : ends[(len(data) + shift) % 3]].decode()
        for shift in range(3)
    ]


def glob(text: str) -> str:
    parts = re.split(r"(\\\\|\\\*|\\\?|\*|\?)", text)
    stands = {"*": ".*", "?": ".", "\\\\": r"\\", "\\*": r"\*", "\\?": r"\?"}
    return "".join(stands.get(part) or re.escape(part) for part in parts)
