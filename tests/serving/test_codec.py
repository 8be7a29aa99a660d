from __future__ import annotations

from collections import OrderedDict, deque
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infraspectre.errors import InputError
from infraspectre.ml.bounded import BoundedTable, DistinctCounter, SmallIntegers
from infraspectre.records import Technique
from infraspectre.serving.codec import Restorer, Saver
from infraspectre.soma.detector import Case
from infraspectre.soma.soma import Patience


def through(value: Any, fresh: Any = None) -> Any:
    data = msgspec.msgpack.encode(Saver().save(value))
    return Restorer().restore(msgspec.msgpack.decode(data), *([] if fresh is None else [fresh]))


SIMPLE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)


@settings(max_examples=40, deadline=None)
@given(SIMPLE)
def test_plain_values_come_back_as_they_were(value: Any) -> None:
    assert through(value) == value


@pytest.mark.parametrize(
    "value",
    [{1, 2}, frozenset({"a"}), deque([1, 2], 5), OrderedDict(b=1, a=2), 1 << 70, Technique("T1", "x"), Patience(1, 2)],
    ids=repr,
)
def test_other_values_come_back_with_their_types(value: Any) -> None:
    found = through(value)
    assert found == value
    assert type(found) is type(value)
    assert list(found) == list(value) if isinstance(value, OrderedDict) else True
    assert found.maxlen == 5 if isinstance(value, deque) else True


def test_arrays_and_frames_come_back() -> None:
    array = np.arange(6, dtype=np.int16).reshape(2, 3)
    assert (through(array) == array).all()
    assert through(array).dtype == array.dtype
    assert through(np.float32(1.5)) == np.float32(1.5)
    frame = pl.DataFrame({"a": [[1, 2], None], "b": ["x", None]}, schema={"a": pl.List(pl.UInt64), "b": pl.String})
    assert through(frame).equals(frame)
    assert through(frame).schema == frame.schema
    assert through(frame["b"]).equals(frame["b"])


def test_what_was_shared_is_shared_again_even_in_a_circle() -> None:
    shared: list[Any] = [1]
    shared.append(shared)
    first, second = through([shared, shared])
    assert first is second
    assert first[1] is first


def test_objects_with_slots_and_without() -> None:
    counter, numbers, case = DistinctCounter(4), SmallIntegers(), Case()
    counter.update(range(100))
    numbers.update([1, 60_000])
    case.show(["one"])
    again = through([counter, numbers, case])
    assert again[0].count() == counter.count()
    assert len(again[1]) == 2
    assert again[2].examples == {"one": None}


def test_functions_come_from_the_fresh_object_which_is_changed_in_place() -> None:
    table, fresh = BoundedTable[str, Case](3, Case), BoundedTable[str, Case](3, Case)
    table["a"].flows = 7
    entries = fresh._entries
    assert through(table, fresh) is fresh
    assert fresh._entries is entries
    assert fresh["a"].flows == 7
    assert fresh["b"].flows == 0
    with pytest.raises(InputError, match="nowhere else"):
        through(table)


def test_classes_that_come_from_files_are_left_out() -> None:
    table = BoundedTable[str, Case](3, Case)
    tree = Saver(lambda kind: issubclass(kind, BoundedTable)).save([table, 1])
    fresh = [BoundedTable[str, Case](3, Case), 0]
    assert Restorer().restore(tree, list(fresh)) == [fresh[0], 1]


@pytest.mark.parametrize(
    "tree",
    [
        ["object", "os:system", {}],
        ["object", "infraspectre.app:analyze", {}],
        ["object", "infraspectre.serving.codec:sys.modules", {}],
        ["object", "infraspectre.cli.serve:Path", {}],
        ["object", "infraspectre.soma.detector:SECOND", {}],
        ["object", "infraspectre.records:Technique", {"id": "T1"}],
        ["object", "infraspectre.records.detection:Technique", {"nothing": 1}],
        ["array", "|O", [1], b"12345678"],
        ["array", "<i8", [9], b"12345678"],
        ["frame", b"nothing"],
        ["again", 5],
        ["fresh"],
        ["_kind", "x"],
        ["nothing"],
        ["list"],
        ["dict", [1]],
        [],
    ],
    ids=str,
)
def test_hostile_data_are_refused(tree: Any) -> None:
    with pytest.raises(InputError):
        Restorer().restore(tree)
