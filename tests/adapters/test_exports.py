from __future__ import annotations

import json
from pathlib import Path

import duckdb
import polars as pl
import pytest

from infraspectre.adapters.columns import batch
from infraspectre.adapters.exports import flow_writer
from infraspectre.adapters.zeek import zeek_source
from infraspectre.errors import OutputError, UsageError

ROWS = [
    {
        "flow_id": 2**64 - 1, "orig_ip": "10.0.0.1", "orig_port": 5, "resp_ip": "10.0.0.2", "resp_port": 53,
        "protocol": "udp", "started_at": 1_700_000_000_123_456_789, "ended_at": 1_700_000_001_123_456_789,
        "duration_ms": 1000.0, "app_protocol": "dns", "orig_packets": 1, "resp_packets": 2, "orig_ip_bytes": 60,
        "resp_ip_bytes": 99, "orig_payload_bytes": 32, "resp_payload_bytes": 43,
        "dns_queries": ['a"b,c', "tab\there"], "dns_ttls": [1, 2],
    },
    {"flow_id": 2, "orig_ip": "10.0.0.3", "resp_ip": "10.0.0.4", "protocol": "tcp", "started_at": 5, "tcp_state": "S0"},
]  # fmt: skip


def written(path: Path) -> Path:
    writer = flow_writer(path)
    for row in ROWS:
        writer.write(batch([row]))
    writer.close()
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    return path


def test_parquet_reads_the_same_everywhere(tmp_path: Path) -> None:
    path = written(tmp_path / "flows.parquet")
    frame = pl.read_parquet(path)
    assert frame.equals(batch(ROWS).frame)
    query = "select flow_id, dns_queries[1], dns_ttls[2], orig_port from read_parquet(?) order by started_at desc"
    assert duckdb.execute(query, [str(path)]).fetchall() == [(2**64 - 1, 'a"b,c', 2, 5), (2, None, None, None)]
    assert frame.to_pandas()["flow_id"].tolist() == [2**64 - 1, 2]


def test_csv_reads_back(tmp_path: Path) -> None:
    frame = pl.read_csv(written(tmp_path / "flows.csv"))
    assert frame["dns_queries"].to_list() == ['a"b,c|tab\there', None]
    assert frame["dns_ttls"].to_list() == ["1 2", None]
    assert frame["orig_port"].to_list() == [5, None]
    assert frame.columns == batch(ROWS).frame.columns


def test_json_lines_read_back(tmp_path: Path) -> None:
    first, second = map(json.loads, written(tmp_path / "flows.jsonl").read_text().splitlines())
    assert (first["flow_id"], first["dns_queries"], second["dns_queries"]) == (2**64 - 1, ['a"b,c', "tab\there"], None)


def test_a_zeek_log_reads_back(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (flows,) = zeek_source([str(written(tmp_path / "out" / "conn.log"))])
    same = ["orig_port", "resp_ip", "protocol", "app_protocol", "duration_ms", "orig_payload_bytes", "resp_packets"]
    assert flows.frame[0].select(same).equals(batch(ROWS).frame[0].select(same))
    assert flows.frame["started_at"].to_list() == [1_700_000_000_123_456_000, 0]


@pytest.mark.parametrize("suffix", ["csv", "log"])
def test_no_flows_still_leave_a_header(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"flows.{suffix}"
    flow_writer(path).close()
    assert "orig" in path.read_text()


def test_nothing_remains_of_a_discarded_file(tmp_path: Path) -> None:
    for suffix in ("csv", "parquet"):
        writer = flow_writer(tmp_path / f"flows.{suffix}")
        writer.write(batch(ROWS))
        writer.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    path = tmp_path / "flows.csv"
    path.symlink_to("/dev/full")
    writer = flow_writer(path)
    with pytest.raises(OutputError, match=r"flows\.csv: cannot be written: No space left on device"):
        for _ in range(100):
            writer.write(batch(ROWS))
        writer.close()
    writer.discard()


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"end the name with one of \.parquet"):
        flow_writer(tmp_path / "flows.xml")
