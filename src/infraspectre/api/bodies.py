"""Bodies of requests: strict JSON, of bounded size and depth, decoded into the type that a route takes."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any

import msgspec
from litestar.types import Receive

from infraspectre.api.headers import header
from infraspectre.api.problems import Flaw, RefusedError

JSON_TYPE = "application/json"
MOST_BODY = 1 << 20
MOST_ROWS_BODY = 32 << 20
"""Bytes of a body that holds rows."""
SMALL = 64 << 10
"""Bytes that are read sooner than a thread would begin to; more would keep others waiting."""
MOST_DEPTH = 32
MOST_DIGITS = 18
"""Of a length, as many as are looked at."""
STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
NEITHER = bytes(byte for byte in range(256) if byte not in b'[]{}"\\')
"""Bytes that neither nest nor tell where strings end."""
STEP = [(byte in b"[{") - (byte in b"]}") for byte in range(256)]
NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
CONTAINERS = frozenset({dict, list})
WHERE = re.compile(r" - at `\$\.?(.*)`\Z")
STEPS = re.compile(r"\w+|\[\.\.\.\]")
"""Steps of a place: names of fields, and items."""


async def body_of(scope: Any, receive: Receive, wanted: Any, most: int) -> Any:
    """Return the JSON body of a request as a type, without unknown or repeated names; raises RefusedError."""
    body = await whole_body(scope, receive, most)
    if not body:
        raise RefusedError("bad-request", "the request has no body", [Flaw("is missing", "data")])
    check_type(scope, (JSON_TYPE,))
    return decoded(body, wanted) if len(body) <= SMALL else await asyncio.to_thread(decoded, body, wanted)


def check_type(scope: Any, wanted: Sequence[str]) -> None:
    """Refuse a body of a type that is none of those wanted; raises RefusedError."""
    given = (header(scope["headers"], b"content-type") or b"").decode("latin-1").partition(";")[0].strip().lower()
    if given not in wanted:
        raise RefusedError("unsupported-content", f"send {wanted[0]}, not {given[:64] or 'nothing named'}")


async def whole_body(scope: Any, receive: Receive, most: int) -> bytes:
    """Return the body of a request; raises RefusedError for one that is too large or breaks off."""
    announced = header(scope["headers"], b"content-length") or b""
    if announced.isdigit() and int(announced[:MOST_DIGITS]) > most:
        raise too_large(most)
    body = bytearray()
    while True:
        message: Any = await receive()
        if message["type"] == "http.disconnect":
            raise RefusedError("bad-request", "the request broke off")
        body += message.get("body", b"")
        if len(body) > most:
            raise too_large(most)
        if not message.get("more_body", False):
            return bytes(body)


def too_large(most: int) -> RefusedError:
    """Return what says that a body is too large."""
    return RefusedError("too-large", f"the body has more than {most:,} bytes")


@lru_cache(512)
def decoder_of(wanted: Any) -> msgspec.json.Decoder[Any]:
    """Return the decoder of a type."""
    return msgspec.json.Decoder(wanted)


def decoded(body: bytes, wanted: Any) -> Any:
    """Return JSON as a type; raises RefusedError that says where it is not so."""
    check_depth(body)
    try:
        check_unique(body)
        return typed(body, wanted)
    except msgspec.ValidationError as error:
        text = str(error)
        where = WHERE.search(text)
        place = where[1] if where else ""
        flaw = Flaw(WHERE.sub("", text), place, remedy=remedy_of(text, wanted, place))
        raise RefusedError("bad-request", "the body has values it cannot have", [flaw]) from error
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise RefusedError("bad-request", f"the body is not sound JSON: {str(error)[:200]}") from error


def remedy_of(problem: str, wanted: Any, place: str) -> str:
    """Name the values that something can have, where they are few; else nothing."""
    if not problem.startswith("Invalid enum value"):
        return ""
    kind = msgspec.inspect.type_info(wanted)
    for step in STEPS.findall(place):
        kind = next((inner for each in options(kind) if (inner := within(each, step))), kind)
    values = [str(value) for each in options(kind) for value in getattr(each, "values", ())]
    return f"choose one of {', '.join(values)}" if values else ""


def options(kind: msgspec.inspect.Type) -> tuple[msgspec.inspect.Type, ...]:
    """Return the types of which a value may be one."""
    return kind.types if isinstance(kind, msgspec.inspect.UnionType) else (kind,)


def within(kind: msgspec.inspect.Type, step: str) -> msgspec.inspect.Type | None:
    """Return the type at a step into another: a field, or an item of a list."""
    if isinstance(kind, msgspec.inspect.StructType):
        return next((field.type for field in kind.fields if field.encode_name == step), None)
    return kind.item_type if isinstance(kind, msgspec.inspect.ListType) else None


def typed(body: bytes, wanted: Any) -> Any:
    """Return JSON as a type; 3.0 is the integer 3 (JSON Schema 2020-12, section 4.2.3), so it is taken for one."""
    try:
        return decoder_of(wanted).decode(body)
    except msgspec.ValidationError as error:
        if "got `float`" not in str(error):
            raise
        return msgspec.convert(json.loads(body, parse_float=whole), wanted)


def whole(text: str) -> int | float:
    """Return a number as an integer if it is one."""
    number = float(text)
    return int(number) if number.is_integer() else number


def check_depth(body: bytes) -> None:
    """Refuse JSON that is nested too deeply, before anything recurses into it."""
    if body.count(b"[") + body.count(b"{") <= MOST_DEPTH:
        return
    brackets = brackets_of(body)
    if len(brackets) > MOST_DEPTH and max(accumulate(map(STEP.__getitem__, brackets))) > MOST_DEPTH:
        raise RefusedError("bad-request", f"the body is nested more than {MOST_DEPTH} deep")


def brackets_of(body: bytes) -> bytes:
    """Return the brackets of JSON that stand in no string.

    Where no string holds any, quotes stand in pairs beside each other once all else is gone, which is found in a tenth
    of the time: before a bracket within a string there is an odd number of quotes, of which one would be left.
    """
    quick = body.translate(None, NEITHER).replace(b'""', b"")
    if b'"' not in quick and b"\\" not in quick:
        return quick
    return STRINGS.sub(b"", body).translate(None, NO_BRACKETS)


def check_unique(body: bytes) -> None:
    """Refuse an object that has a name twice; raises DecodeError and ValueError for what is not sound.

    Before each value of an object stands a colon. Where a body has no more colons than its objects have names, none was
    lost, which is seen in half of the time; colons in texts may be the others.
    """
    if names_in(msgspec.json.decode(body)) != body.count(b":"):
        UNIQUE.decode(body.decode())


def names_in(value: Any) -> int:
    """Return how many names the objects within a value have, together."""
    if type(value) not in CONTAINERS:
        return 0
    own, parts = (len(value), value.values()) if isinstance(value, dict) else (0, value)
    return own if CONTAINERS.isdisjoint(map(type, parts)) else own + sum(map(names_in, parts))


def check_names(pairs: list[tuple[str, Any]]) -> None:
    """Refuse an object that has a name twice, which parsers read differently (RFC 8259 section 4)."""
    if len(dict(pairs)) != len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the name {twice[:64]!r} stands twice in an object")


UNIQUE = json.JSONDecoder(object_pairs_hook=check_names)
"""Reads JSON whose objects have no name twice."""
