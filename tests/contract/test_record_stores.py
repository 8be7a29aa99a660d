"""What every store of records keeps, finds, sorts and refuses."""

from __future__ import annotations

import random
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from infraspectre.adapters.record_store import open_postgres, open_sqlite
from infraspectre.errors import ConflictError, InputError
from infraspectre.ports import RecordStore
from infraspectre.records.queries import Collection, Filter, Order, Query
from postgres_server import postgres_server
from record_questions import THINGS, Ticking, drawn, expected, paged, questions

OTHERS = Collection("others", {"name": "text"})


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    pytest.importorskip("psycopg", reason="the extra postgres is not installed")
    with postgres_server() as address:
        yield address


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RecordStore]:
    if request.param == "sqlite":
        opened = open_sqlite(tmp_path / "records.db", Ticking())
    else:
        opened = open_postgres(own_database(request.getfixturevalue("server")), Ticking())
    yield opened
    opened.close()


def own_database(server: str) -> str:
    """Return where a new database of a server is."""
    import psycopg

    name = f"records{secrets.token_hex(8)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return server.replace("dbname=postgres", f"dbname={name}")


def asked(*filters: str, order: str | None = None, limit: int = 100, after: str | None = None) -> Query:
    read = tuple(Filter.of(each, THINGS.fields) for each in filters)
    return Query(read, None if order is None else Order.of(order, THINGS.fields), limit, after)


def keys(store: RecordStore, *filters: str, order: str | None = None) -> list[str]:
    return [each.key for each in store.page("a", THINGS, asked(*filters, order=order)).rows]


def test_a_record_comes_back_as_it_was_written(store: RecordStore) -> None:
    record = {"name": "Ölfaß \0\ud7ff", "size": -5, "tags": ["x", "y"], "inner": {"any": [1, None, True]}}
    written = store.put("a", THINGS, "k/1?", record)
    assert written == store.get("a", THINGS, "k/1?")
    assert (written.key, written.revision, written.changed_at) == ("k/1?", 1, 1_000)
    assert msgspec.json.decode(written.body) == record
    assert store.get("a", THINGS, "k/2") is None
    assert store.get("a", OTHERS, "k/1?") is None


def test_revisions_grow_and_conflicts_change_nothing(store: RecordStore) -> None:
    assert store.put("a", THINGS, "k", {"size": 1}, expected=0).revision == 1
    with pytest.raises(ConflictError, match="has revision 1, not 0"):
        store.put("a", THINGS, "k", {"size": 2}, expected=0)
    assert store.put("a", THINGS, "k", {"size": 3}, expected=1).revision == 2
    assert store.put("a", THINGS, "k", {"size": 4}).revision == 3
    with pytest.raises(ConflictError):
        store.delete("a", THINGS, "k", expected=2)
    with pytest.raises(ConflictError, match="is not there"):
        store.put("a", THINGS, "other", {}, expected=1)
    assert keys(store, "size=4") == ["k"]
    assert store.delete("a", THINGS, "k", expected=3)
    assert not store.delete("a", THINGS, "k")
    assert store.put("a", THINGS, "k", {}, expected=0).revision == 1


def test_tenants_see_their_own_records_alone(store: RecordStore) -> None:
    for tenant in ("a", "b", "a2"):
        store.put(tenant, THINGS, "k", {"name": tenant, "tags": [tenant, "all"]})
    assert keys(store, "tags=all") == ["k"]
    assert store.page("b", THINGS, asked("name=a")).rows == []
    assert store.page("b", THINGS, asked("tags=a")).rows == []
    assert store.count("a2", THINGS, asked()) == 1
    assert store.tenants(THINGS) == ["a", "a2", "b"]
    assert store.delete("a", THINGS, "k")
    assert store.tenants(THINGS) == ["a2", "b"]
    assert store.get("b", THINGS, "k") is not None
    store.put("b", THINGS, "k2", {})
    following = store.page("b", THINGS, asked(limit=1)).next
    with pytest.raises(InputError, match="is no place"):
        store.page("a2", THINGS, asked(limit=1, after=following))


def test_what_is_written_again_is_found_by_its_new_values_alone(store: RecordStore) -> None:
    store.put("a", THINGS, "k", {"name": "old", "size": 1, "tags": ["old", "both"]})
    store.put("a", THINGS, "k", {"name": "new", "tags": ["new", "both", "both"]})
    assert keys(store, "tags=old") == keys(store, "name=old") == keys(store, "size=1") == []
    assert keys(store, "tags=new", "tags=both", "name=new") == ["k"]
    store.delete("a", THINGS, "k")
    assert keys(store, "tags=both") == []


def test_many_are_written_or_none(store: RecordStore) -> None:
    store.put("a", THINGS, "5", {"size": 99})
    store.put_many("a", THINGS, {str(n): {"size": n, "tags": [f"t{n % 3}"]} for n in range(1_200)})
    assert store.count("a", THINGS, asked("tags=t1")) == 400
    assert store.count("a", THINGS, asked("tags=t1"), most=7) == 7
    five = store.get("a", THINGS, "5")
    assert five is not None and five.revision == 2
    with pytest.raises(InputError, match="size: is no integer number"):
        store.put_many("a", THINGS, {"x": {"size": 1}, "y": {"size": "many"}})
    assert store.get("a", THINGS, "x") is None
    store.put_many("a", THINGS, {})


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        ({"size": 2**63}, "size: is a number that no store holds"),
        ({"size": 1.5}, "size: is no integer"),
        ({"name": 5}, "name: is no text"),
        ({"tags": [5]}, "tags: is no text"),
        ({"tags": ["x"] * 1_001}, "tags: is no list of at most"),
        ({"weight": float("inf")}, "weight: is a number that no store holds"),
        ({"name": "\ud800"}, "record: cannot be written as JSON"),
        ({"inner": {1, 2}.__iter__()}, "record: cannot be written as JSON"),
    ],
)
def test_what_cannot_be_kept_is_named(store: RecordStore, record: dict[str, Any], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        store.put("a", THINGS, "k", record)
    assert store.get("a", THINGS, "k") is None


@pytest.mark.parametrize("key", ["", "k" * 257, "a\0b", "\ud800"])
def test_a_key_that_cannot_be_kept_is_refused(store: RecordStore, key: str) -> None:
    with pytest.raises(InputError, match="key: is empty"):
        store.put("a", THINGS, key, {})


@pytest.mark.parametrize(
    "query",
    [
        Query((Filter("nothing", "=", ("x",)),)),
        Query((Filter("size", "~", (1,)),)),
        Query((Filter("size", "=", ("1",)),)),
        Query((Filter("size", "=", (2**63,)),)),
        Query((Filter("name", "=", ()),)),
        Query((Filter("name", "<", ("a", "b")),)),
        Query(order=Order("tags")),
        Query(order=Order("nothing")),
        Query(limit=0),
        Query(limit=1_001),
        Query(after="x"),
        Query(after="é"),
        Query(after="AAAAAAAAAAAAAAAA"),
    ],
)
def test_a_query_that_cannot_be_answered_is_refused(store: RecordStore, query: Query) -> None:
    with pytest.raises(InputError):
        store.page("a", THINGS, query)


def test_every_question_is_answered_as_the_reference_says(store: RecordStore) -> None:
    records = drawn(1, 200)
    store.put_many("a", THINGS, records)
    store.put_many("b", THINGS, drawn(2, 50))
    for filters, order in questions(3, 120):
        right = expected(records, filters, order)
        assert paged(store, THINGS, Query(filters, order, 37)) == right, (filters, order)
        assert store.count("a", THINGS, Query(filters, order), 150) == min(len(right), 150)


@pytest.mark.parametrize("order", [None, "size", "-size", "-name"])
def test_pages_stay_in_order_while_rows_are_written(store: RecordStore, order: str | None) -> None:
    draw = random.Random(4)
    store.put_many("a", THINGS, {f"k{n:03}": {"size": n % 5, "name": str(n % 7)} for n in range(200)})
    stay = {f"k{n:03}" for n in range(0, 200, 2)}
    found: list[str] = []
    after = None
    while True:
        page = store.page("a", THINGS, asked(order=order, limit=9, after=after))
        found += [each.key for each in page.rows]
        if (after := page.next) is None:
            break
        key = f"k{draw.randrange(1, 200, 2):03}"
        if draw.random() < 0.5:
            store.delete("a", THINGS, key)
        else:
            store.put("a", THINGS, f"new{key}", {"size": 2})
    assert len(found) == len(set(found))
    assert stay <= set(found)


def test_a_place_fits_its_own_query_alone(store: RecordStore) -> None:
    store.put_many("a", THINGS, {str(n): {"size": n} for n in range(5)})
    after = store.page("a", THINGS, asked("size>=0", order="size", limit=2)).next
    assert after is not None
    assert [
        each.key for each in store.page("a", THINGS, asked("size>=0", order="size", limit=9, after=after)).rows
    ] == ["2", "3", "4"]
    for other in (asked("size>=1", order="size", after=after), asked("size>=0", order="-size", after=after)):
        with pytest.raises(InputError, match="is no place"):
            store.page("a", THINGS, other)
    for position in range(len(after)):
        changed = after[:position] + ("A" if after[position] != "A" else "B") + after[position + 1 :]
        with pytest.raises(InputError, match="is no place"):
            store.page("a", THINGS, asked("size>=0", order="size", after=changed))


def test_a_field_that_is_added_is_found_in_older_records(store: RecordStore) -> None:
    older: dict[str, dict[str, Any]] = {"1": {"name": "x", "rank": 5, "tags": ["t"]}, "2": {"name": "y", "rank": "no"}}
    store.put_many("a", OTHERS, older)
    grown = Collection("others", {"name": "text", "rank": "integer", "tags": "texts"})
    find = Query((Filter("rank", "=", (5,)), Filter("tags", "=", ("t",))))
    assert [each.key for each in store.page("a", grown, find).rows] == ["1"]
    store.put("a", OTHERS, "3", {"name": "z", "rank": 5, "tags": ["t"]})
    assert [each.key for each in store.page("a", grown, find).rows] == ["1", "3"]
    with pytest.raises(InputError, match="name: is text in the store, not integer"):
        store.page("a", Collection("others", {"name": "integer"}), Query())


def test_what_is_whole_has_no_damage(store: RecordStore) -> None:
    store.put_many("a", THINGS, drawn(1, 300))
    store.put_many("b", THINGS, drawn(2, 50))
    store.put_many("a", THINGS, drawn(3, 100))
    for key in list(drawn(1, 300))[::3]:
        store.delete("a", THINGS, key)
    store.put("a", OTHERS, "k", {"name": "x", "rank": "none", "tags": ["t"]})
    store.page("a", Collection("others", {"rank": "integer", "tags": "texts"}), Query())
    assert store.verify() == []


def test_an_entity_is_erased_with_all_that_names_it(store: RecordStore) -> None:
    records: dict[str, dict[str, Any]] = {
        "field": {"tags": ["10.0.0.1", "x"]},
        "inside": {"inner": [{"deep": "from 10.0.0.1."}]},
        "member": {"inner": {"10.0.0.1": 1}},
        "longer": {"tags": ["10.0.0.11"], "name": "110.0.0.1 10.0.0.1.5 a-10.0.0.1"},
        "other": {"tags": ["x"]},
    }
    store.put_many("a", THINGS, records)
    store.put("a", OTHERS, "k", {"name": "10.0.0.1"})
    store.put("b", THINGS, "k", {"tags": ["10.0.0.1"]})
    assert store.erase("a", "10.0.0.1") == 4
    assert keys(store) == ["longer", "other"]
    assert store.get("a", OTHERS, "k") is None
    assert store.get("b", THINGS, "k") is not None
    assert store.erase("a", "10.0.0.1") == store.erase("nobody", "10.0.0.1") == 0
    assert store.verify() == []


def test_an_entity_gets_a_pseudonym_everywhere(store: RecordStore) -> None:
    store.put("a", THINGS, "k", {"tags": ["10.0.0.1"], "name": "10.0.0.1 to Host.Example", "inner": {"10.0.0.1": 1}})
    assert store.erase("a", "10.0.0.1", "host-1") == 1
    assert store.erase("a", "host.example", "host-2") == 1
    written = store.get("a", THINGS, "k")
    assert written is not None and written.revision == 3
    assert msgspec.json.decode(written.body) == {"tags": ["host-1"], "name": "host-1 to host-2", "inner": {"host-1": 1}}
    assert keys(store, "tags=host-1", "name~HOST-2") == ["k"]
    assert keys(store, "tags=10.0.0.1") == []


def test_lists_show_what_the_fields_name(store: RecordStore) -> None:
    records = drawn(1, 60)
    store.put_many("a", THINGS, {key: {**each, "rest": "x" * 9_000} for key, each in records.items()})
    store.put_many("b", THINGS, drawn(2, 5))
    for order in ("size", "-name", None):
        whole, listed = (store.page("a", THINGS, asked(order=order), is_listed) for is_listed in (False, True))
        assert [each[:3] for each in listed.rows] == [each[:3] for each in whole.rows]
        assert [msgspec.json.decode(each.body) for each in listed.rows] == [records[each.key] for each in listed.rows]
    first = next(iter(records))
    store.put("a", THINGS, first, {"name": "new", "rest": "y"})
    shown = {each.key: each.body for each in store.page("a", THINGS, asked(), is_listed=True).rows}
    assert msgspec.json.decode(shown[first]) == {"name": "new"}
    assert store.delete("a", THINGS, first)
    assert store.put("a", THINGS, "another", {"size": 1}).revision == 1
    assert store.verify() == store.repair() == []
    assert len(store.page("a", THINGS, asked(), is_listed=True).rows) == 60


def test_lists_show_records_from_before_there_were_lists(store: RecordStore) -> None:
    store.put_many("a", OTHERS, {"1": {"name": "x", "rank": 5, "rest": "z"}, "2": {"rest": "z"}})
    listed = Collection("others", {"name": "text", "rank": "integer"}, is_listed=True)
    shown = [store.page("a", each, Query(), is_listed=True).rows for each in (OTHERS, listed)]
    assert [[msgspec.json.decode(each.body) for each in rows] for rows in shown] == [
        [{"name": "x"}, {}],
        [{"name": "x", "rank": 5}, {}],
    ]
    grown = Collection("others", {"name": "text", "rank": "integer", "rest": "text"}, is_listed=True)
    store.put("a", listed, "2", {"name": "y", "rest": "new"})
    assert [msgspec.json.decode(each.body) for each in store.page("a", grown, Query(), is_listed=True).rows] == [
        {"name": "x", "rank": 5, "rest": "z"},
        {"name": "y", "rest": "new"},
    ]
    assert store.verify() == store.repair() == []
    assert len(store.page("a", grown, Query(), is_listed=True).rows) == 2
