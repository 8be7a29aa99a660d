from __future__ import annotations

import polars as pl

from infraspectre.soma.doorstep import Doorstep


def flows(*scopes: str) -> pl.DataFrame:
    return pl.DataFrame({"flow_id": range(len(scopes)), "scope": scopes}, schema_overrides={"scope": pl.String})


def names(frame: pl.DataFrame) -> list[str]:
    return frame["scope"].to_list()


def test_the_second_flow_of_a_scope_brings_the_first_with_it() -> None:
    door = Doorstep(("scope",), 100)
    assert names(door.admit(flows("a", "b"))) == []
    assert names(door.admit(flows("c", "a"))) == ["a", "a"]
    assert names(door.admit(flows("a"))) == ["a"]
    assert len(door) == 2


def test_flows_that_come_together_pass_together() -> None:
    assert names(Doorstep(("scope",), 100).admit(flows("a", "b", "a"))) == ["a", "a"]


def test_scopes_are_told_apart_by_every_column_and_null_is_a_value() -> None:
    door = Doorstep(("flow_id", "scope"), 100)
    assert len(door.admit(flows("a", "a"))) == 0
    nulls = pl.DataFrame({"flow_id": [7, 7], "scope": [None, None]}, schema_overrides={"scope": pl.String})
    assert len(door.admit(nulls)) == 2


def test_what_waits_and_what_is_remembered_is_bounded() -> None:
    door = Doorstep(("scope",), 4)
    for number in range(50):
        door.admit(flows(f"{number}", f"twice {number}", f"twice {number}"))
    assert len(door) == 4
    assert names(door.admit(flows("0", "49"))) == ["49", "49"]


def test_nothing_comes_of_nothing() -> None:
    assert len(Doorstep(("scope",), 4).admit(flows())) == 0
