"""Saves the state of an object graph as plain data, and restores it into one that was made anew.

What cannot be said as data, such as functions, compiled rules and models, is not saved: it comes from the graph into
which the state is restored, at the same place. Nothing that is read can run: data name classes of this package alone,
none of which is initialised, and there is no pickle.
"""

from __future__ import annotations

import io
import sys
import types
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import msgspec
import numpy as np
import polars as pl

from infraspectre.errors import InputError

PACKAGE = "infraspectre."
PLAIN = (type(None), bool, float, str, bytes)
LARGEST_PLAIN = 1 << 63
ARRAY_KINDS = "biufmM"
"""Kinds of numpy types that hold numbers and times; others might hold anything."""
SLOT_LESS = ("__dict__", "__weakref__")
ABSENT: Any = object()

Tree = Any
"""Plain data, or a list whose first item names a form."""


class Saver:
    """Turns objects into plain data; an object that is met again becomes a reference."""

    def __init__(self, is_opaque: Callable[[type], bool] = lambda _: False) -> None:
        """Leave out objects of such classes, too."""
        self._is_opaque = cache(is_opaque)
        self._known: dict[int, int] = {}
        self._kept: list[Any] = []

    def save(self, value: Any) -> Tree:
        """Return a value as plain data."""
        kind = type(value)
        if kind in PLAIN:
            return value
        if kind is int:
            return value if -LARGEST_PLAIN <= value < LARGEST_PLAIN else ["int", hex(value)]
        if (number := self._known.get(id(value))) is not None:
            return ["again", number]
        form = self._form(kind, value)
        if form is None:
            return ["fresh"]
        self._known[id(value)] = len(self._kept)
        self._kept.append(value)  # so that no other object gets its identity meanwhile
        return form(value)

    def _form(self, kind: type, value: Any) -> Callable[[Any], Tree] | None:
        """Return what turns an object into data; None for one that is not saved."""
        if kind in FORMS:
            return getattr(self, FORMS[kind])  # type: ignore[no-any-return]
        if isinstance(value, np.generic | np.ndarray):
            return self._array if value.dtype.kind in ARRAY_KINDS else None
        is_ours = kind.__module__.startswith(PACKAGE) and not isinstance(value, type | BaseException)
        return self._instance if is_ours and not self._is_opaque(kind) else None

    def _marker(self, _: object) -> Tree:
        return ["marker"]

    def _items(self, value: Any) -> Tree:
        return [NAMES[type(value)], [self.save(each) for each in value]]

    def _deque(self, value: deque[Any]) -> Tree:
        return ["deque", value.maxlen, [self.save(each) for each in value]]

    def _mapping(self, value: dict[Any, Any]) -> Tree:
        return [NAMES[type(value)], [self.save(each) for pair in value.items() for each in pair]]

    def _array(self, value: Any) -> Tree:
        return ["array", value.dtype.str, value.shape if isinstance(value, np.ndarray) else None, value.tobytes()]

    def _frame(self, value: pl.DataFrame) -> Tree:
        return ["frame", ipc(value)]

    def _series(self, value: pl.Series) -> Tree:
        return ["series", value.name, ipc(value.to_frame("_"))]

    def _instance(self, value: Any) -> Tree:
        kind = type(value)
        return ["object", f"{kind.__module__}:{kind.__qualname__}", self._attributes(value)]

    def _attributes(self, value: Any) -> dict[str, Tree]:
        return {name: self.save(each) for name, each in attributes(value)}


FORMS: dict[type, str] = {
    object: "_marker",
    list: "_items",
    tuple: "_items",
    set: "_items",
    frozenset: "_items",
    deque: "_deque",
    dict: "_mapping",
    OrderedDict: "_mapping",
    pl.DataFrame: "_frame",
    pl.Series: "_series",
}
NAMES: dict[type, str] = {
    list: "list",
    tuple: "tuple",
    set: "set",
    frozenset: "frozenset",
    dict: "dict",
    OrderedDict: "ordered",
}


def ipc(frame: pl.DataFrame) -> bytes:
    """Return a frame as an Arrow IPC stream."""
    stream = io.BytesIO()
    frame.write_ipc_stream(stream, compat_level=pl.CompatLevel.newest())
    return stream.getvalue()


def attributes(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield what an object of this package holds, by name."""
    if isinstance(value, tuple):
        yield from zip(value._fields, value, strict=True)  # type: ignore[attr-defined]
        return
    if isinstance(value, msgspec.Struct):
        yield from ((name, getattr(value, name)) for name in value.__struct_fields__)
        return
    yield from vars(value).items() if hasattr(value, "__dict__") else ()
    for name in slots(type(value)):
        if (held := getattr(value, name, ABSENT)) is not ABSENT:
            yield name, held


def slots(kind: type) -> Iterator[str]:
    """Yield the names of the slots of a class."""
    for base in kind.__mro__:
        names = base.__dict__.get("__slots__", ())
        for name in (names,) if isinstance(names, str) else names:
            if name not in SLOT_LESS:
                is_private = name.startswith("__") and not name.endswith("__")
                yield f"_{base.__name__.lstrip('_')}{name}" if is_private else name


class Restorer:
    """Puts saved state into objects that were made anew."""

    def __init__(self) -> None:
        """Begin with nothing restored."""
        self._known: list[Any] = []
        self._kinds: dict[str, type] = {}

    def restore(self, tree: Tree, fresh: Any = ABSENT) -> Any:
        """Return the value of some data; a fresh object that can change is changed in place.

        Raises InputError for data that do not fit to the fresh object, or to no version of this package.
        """
        if not isinstance(tree, list):
            return tree
        try:
            form, *parts = tree
            if form == "fresh":
                return self._fresh(fresh)
            if form == "int":
                return int(parts[0], 16)
            if form == "again":
                return self._known[parts[0]]
            return getattr(self, RESTORED[form])(fresh, *parts)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, pl.exceptions.PolarsError) as error:
            raise InputError(f"does not fit: {type(error).__name__}: {error}") from error

    def _fresh(self, fresh: Any) -> Any:
        if fresh is ABSENT:
            raise InputError("lacks something that is nowhere else")
        return fresh

    def _place(self) -> int:
        """Reserve the number of the next object, as references count them in the order in which they begin."""
        self._known.append(ABSENT)
        return len(self._known) - 1

    def _marker(self, _: Any) -> Any:
        self._known.append(object())
        return self._known[-1]

    def _list(self, fresh: Any, items: list[Tree]) -> Any:
        peers = list(fresh) if type(fresh) is list else []
        whole = fresh if type(fresh) is list else []
        self._known.append(whole)
        whole[:] = self._each(items, peers)
        return whole

    def _tuple(self, fresh: Any, items: list[Tree]) -> Any:
        place = self._place()
        self._known[place] = tuple(self._each(items, list(fresh) if type(fresh) is tuple else []))
        return self._known[place]

    def _set(self, fresh: Any, items: list[Tree]) -> Any:
        whole = fresh if type(fresh) is set else set()
        self._known.append(whole)
        members = list(self._each(items, []))
        whole.clear()
        whole.update(members)
        return whole

    def _frozenset(self, _: Any, items: list[Tree]) -> Any:
        place = self._place()
        self._known[place] = frozenset(self._each(items, []))
        return self._known[place]

    def _deque(self, fresh: Any, longest: int | None, items: list[Tree]) -> Any:
        is_there = type(fresh) is deque and fresh.maxlen == longest
        whole: deque[Any] = fresh if is_there else deque(maxlen=longest)
        self._known.append(whole)
        members = list(self._each(items, list(whole)))
        whole.clear()
        whole.extend(members)
        return whole

    def _dict(self, fresh: Any, items: list[Tree]) -> Any:
        return self._filled(fresh if type(fresh) is dict else {}, items)

    def _ordered(self, fresh: Any, items: list[Tree]) -> Any:
        return self._filled(fresh if type(fresh) is OrderedDict else OrderedDict(), items)

    def _filled(self, whole: dict[Any, Any], items: list[Tree]) -> Any:
        self._known.append(whole)
        peers = dict(whole)
        whole.clear()
        for key, value in zip(items[::2], items[1::2], strict=True):
            name = self.restore(key)
            whole[name] = self.restore(value, peers.get(name, ABSENT))
        return whole

    def _array(self, fresh: Any, dtype: str, shape: list[int] | None, data: bytes) -> Any:
        kind = np.dtype(dtype)
        if kind.kind not in ARRAY_KINDS:
            raise InputError(f"holds an array of {dtype}")
        whole = np.frombuffer(data, kind).reshape([] if shape is None else shape).copy()
        found = whole[()] if shape is None else whole
        self._known.append(found)
        return found

    def _frame(self, _: Any, data: bytes) -> Any:
        found = pl.read_ipc_stream(io.BytesIO(data))
        self._known.append(found)
        return found

    def _series(self, _: Any, name: str, data: bytes) -> Any:
        found = pl.read_ipc_stream(io.BytesIO(data)).to_series().rename(name)
        self._known.append(found)
        return found

    def _object(self, fresh: Any, name: str, held: dict[str, Tree]) -> Any:
        kind = self._kind(name)
        if issubclass(kind, tuple) or issubclass(kind, msgspec.Struct):
            return self._made(kind, fresh, held)
        if kind.__new__ is not object.__new__:
            raise InputError(f"cannot make {name}")
        whole = fresh if type(fresh) is kind else kind.__new__(kind)
        self._known.append(whole)
        for key, tree in held.items():
            peer = getattr(fresh, key, ABSENT) if type(fresh) is kind else ABSENT
            if not (tree == ["fresh"] and peer is ABSENT and whole is fresh):
                object.__setattr__(whole, key, self.restore(tree, peer))
        return whole

    def _made(self, kind: type, fresh: Any, held: dict[str, Tree]) -> Any:
        """Make a named tuple, or a struct; a struct that can change is changed in place."""
        place = self._place()
        peers = dict(attributes(fresh)) if type(fresh) is kind else {}
        is_fluid = type(fresh) is kind and isinstance(fresh, msgspec.Struct) and not kind.__struct_config__.frozen
        if is_fluid:
            self._known[place] = fresh
        values = {key: self.restore(tree, peers.get(key, ABSENT)) for key, tree in held.items()}
        if is_fluid:
            for key, value in values.items():
                setattr(fresh, key, value)
        else:
            self._known[place] = kind(**values)
        return self._known[place]

    def _each(self, items: list[Tree], peers: list[Any]) -> Iterator[Any]:
        for number, tree in enumerate(items):
            yield self.restore(tree, peers[number] if number < len(peers) else ABSENT)

    def _kind(self, name: str) -> type:
        """Return a class of this package that is in use already."""
        if name not in self._kinds:
            module, _, path = name.partition(":")
            found: Any = sys.modules.get(module) if module.startswith(PACKAGE) else None
            for step in path.split("."):
                found = getattr(found, step, None)
            is_class = isinstance(found, type) and f"{found.__module__}:{found.__qualname__}" == name
            if not is_class or isinstance(found, types.GenericAlias):
                raise InputError(f"names {name[:200]}, which is no class in use")
            self._kinds[name] = found
        return self._kinds[name]


RESTORED = {
    "marker": "_marker",
    "list": "_list",
    "tuple": "_tuple",
    "set": "_set",
    "frozenset": "_frozenset",
    "deque": "_deque",
    "dict": "_dict",
    "ordered": "_ordered",
    "array": "_array",
    "frame": "_frame",
    "series": "_series",
    "object": "_object",
}
