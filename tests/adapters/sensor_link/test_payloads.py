from __future__ import annotations

import os
import random
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infraspectre.adapters.sensor_link import payloads
from infraspectre.adapters.sensor_link.payloads import check_size, column_types, messages, pack, unpack, unpacked_bytes
from infraspectre.capture import CaptureSource
from infraspectre.errors import InputError
from link_rooms import flow_rows

SAMPLE = Path(__file__).parents[3] / "examples" / "sample.pcap.gz"
FLIPS = int(os.environ.get("INFRASPECTRE_TEST_FLIPS", "300"))


@pytest.fixture(scope="module")
def flows() -> pl.DataFrame:
    """All flows of the bundled capture, with all columns."""
    return pl.concat(batch.frame for batch in CaptureSource([str(SAMPLE)]))


def test_flows_come_back_as_they_were(flows: pl.DataFrame) -> None:
    assert unpack(pack(flows), len(flows)).equals(flows)


def test_columns_have_the_types_of_the_core(flows: pl.DataFrame) -> None:
    known = column_types()
    assert {name: known[name] for name in flows.columns} == dict(flows.schema)


def test_what_comes_out_is_known_before_it_is_unpacked(flows: pl.DataFrame) -> None:
    _, batch = messages(memoryview(pack(flows)))
    plain = len(flows) * sum(8 for kind in flows.dtypes if kind in (pl.Int64, pl.UInt64, pl.Float64))
    assert plain < unpacked_bytes(batch) < 20 * flows.estimated_size()


def test_a_payload_that_would_fill_the_memory_is_refused_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = pack(flow_rows(0).with_columns(orig_mac=pl.lit("x" * 4_000_000)))
    assert len(bomb) < 10_000
    monkeypatch.setattr(payloads, "MOST_UNPACKED_BYTES", 1_000_000)
    monkeypatch.setattr(pl, "read_ipc_stream", lambda _: pytest.fail("it was unpacked"))
    with pytest.raises(InputError, match="once it is unpacked"):
        unpack(bomb, 1)


def test_a_size_that_lies_is_refused_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a compressed buffer says of its size, no memory is taken for it."""
    monkeypatch.setattr(pl, "read_ipc_stream", lambda _: pytest.fail("it was unpacked"))
    data = bytearray(pack(flow_rows(0)))
    [_, batch] = messages(memoryview(bytes(data)))
    buffers = batch.header.structs(2, "<i8", 2)
    [start, *_] = buffers[buffers[:, 1] > 0][:, 0]
    place = bytes(data).index(bytes(batch.body[:64])) + int(start)
    data[place : place + 8] = (1 << 60).to_bytes(8, "little")
    with pytest.raises(InputError, match="once it is unpacked"):
        unpack(bytes(data), 1)


@pytest.mark.parametrize("rows", [-1, 0, payloads.MOST_ROWS + 1])
def test_impossible_numbers_of_rows_are_refused(rows: int) -> None:
    with pytest.raises(InputError):
        unpack(pack(flow_rows(0)), rows)


def test_any_changed_byte_is_refused_or_still_gives_flows(flows: pl.DataFrame) -> None:
    chance = random.Random(5)
    sound = pack(flows.head(20))
    for _ in range(FLIPS):
        data = bytearray(sound)
        for _ in range(chance.randrange(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            frame = unpack(bytes(data), 20)
        except InputError:
            continue
        assert len(frame.rows()) == 20, "all values can be looked at"
        assert set(frame.columns) <= set(column_types())


@given(st.binary(max_size=400))
@settings(max_examples=200, deadline=None)
def test_bytes_that_are_no_flows_are_refused(data: bytes) -> None:
    with pytest.raises(InputError):
        check_size(data, 1)
        unpack(data, 1)
