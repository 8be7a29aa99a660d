"""A host that reads many times as much of a share as others do is found; ordinary work and backup are not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flow_rows import flow, frame
from infraspectre.soma.collection import Collection
from soma_runs import found_in


def reading(at: float, orig: str, files: int, received: int = 100_000) -> dict[str, Any]:
    names = [f"plans\\{at:.0f}-{n}.pdf" for n in range(files)]
    ends = {"orig_ip": orig, "resp_ip": "10.0.1.1", "resp_port": 445}
    return flow(at, **ends, smb_files=names, resp_payload_bytes=received)


def work(readers: int = 8) -> Iterator[dict[str, Any]]:
    """Give two hours in which colleagues open a few files, and read the web."""
    for n in range(readers * 12):
        yield reading(600.0 * (n // readers), f"10.0.0.{20 + n % readers}", 1 + n % 4)
    for n in range(10):
        yield flow(7_100.0 + n, orig_ip="10.0.0.20", resp_ip=f"192.0.2.{n}", resp_port=443)


def levels(*rows: dict[str, Any]) -> list[tuple[str, str | None, str]]:
    return [(each.severity, each.orig, each.techniques[0].id) for each in found_in(Collection, frame(rows), size=16)]


def test_who_reads_many_times_as_much_as_others_is_found() -> None:
    assert levels(*work(), reading(7_300.0, "10.0.0.20", 24)) == [("medium", "10.0.0.20", "T1039")]


def test_backup_is_of_low_severity() -> None:
    assert levels(*work(), reading(7_300.0, "10.0.0.99", 30)) == [("low", "10.0.0.99", "T1039")]


def test_ordinary_work_is_quiet_and_so_is_much_where_others_read_much() -> None:
    busy = [reading(6_600.0, f"10.0.0.{20 + n}", 20) for n in range(3)]
    assert levels(*work(), reading(7_300.0, "10.0.0.20", 12)) == []
    assert [each for each in levels(*work(), *busy) if each[1] != "10.0.0.20"] == [
        ("low", "10.0.0.21", "T1039"), ("low", "10.0.0.22", "T1039"),
    ]  # fmt: skip


def test_nothing_is_said_of_a_server_that_few_read() -> None:
    assert levels(*work(readers=3), reading(7_300.0, "10.0.0.20", 30)) == []


def test_where_a_flow_tells_no_more_names_bytes_say_how_much_was_read() -> None:
    busy = [reading(600.0 * n, "10.0.0.21", 15) for n in range(6)]
    assert levels(*work(), *busy, reading(7_300.0, "10.0.0.20", 32)) == []
    assert levels(*work(), *busy, reading(7_300.0, "10.0.0.20", 32, received=900_000)) == [
        ("medium", "10.0.0.20", "T1039")
    ]
