"""What an analysis wrote is read back as it was."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from infraspectre.adapters.results import detection_object, incident_object, json_document, read_results, write_lines
from infraspectre.errors import InputError


@pytest.fixture
def folder(analyzed: Path, tmp_path: Path) -> Path:
    """A copy that may be changed."""
    return copytree(analyzed, tmp_path / "copy")


def change(path: Path, line: int, **values: Any) -> None:
    """Put values into a line, counted from 1."""
    lines = path.read_text().splitlines()
    lines[line - 1] = json.dumps(json.loads(lines[line - 1]) | values)
    path.write_text("\n".join(lines))


def objects(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_results_that_were_read_are_written_as_they_were(folder: Path, tmp_path: Path) -> None:
    read = read_results(folder)
    assert read.decisions
    write_lines(tmp_path / "incidents", map(incident_object, read.decisions))
    write_lines(tmp_path / "detections", map(detection_object, read.detections))
    assert (tmp_path / "incidents").read_bytes() == (folder / "incidents.jsonl").read_bytes()
    assert objects(tmp_path / "detections") == objects(folder / "detections.jsonl")
    assert json_document(read.summary) == (folder / "summary.json").read_bytes()
    assert all(each.incident.detections for each in read.decisions)


def test_a_broken_line_is_named(folder: Path) -> None:
    path = folder / "incidents.jsonl"
    path.write_bytes(path.read_bytes() + b'{"incident_id": 3}\n')
    with pytest.raises(InputError, match=r"incidents\.jsonl:\d+: has no 'threat_score'"):
        read_results(folder)


def test_an_incident_needs_its_detections(folder: Path) -> None:
    (folder / "detections.jsonl").write_bytes(b"")
    with pytest.raises(InputError, match=r"incidents\.jsonl:1: has no"):
        read_results(folder)


@pytest.mark.parametrize("value", ["yesterday", 17, None])
def test_a_time_that_is_none_is_refused(value: Any, folder: Path) -> None:
    change(folder / "detections.jsonl", 2, at=value)
    with pytest.raises(InputError, match=r"detections\.jsonl:2"):
        read_results(folder)


def test_a_folder_without_results_says_what_would_be_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'infraspectre analyze'"):
        read_results(tmp_path)


@pytest.mark.parametrize("name", ["joins", "kill_chain", "detections"])
@pytest.mark.parametrize("value", [None, [5], 7])
def test_a_list_that_is_none_is_named(name: str, value: Any, folder: Path) -> None:
    change(folder / "incidents.jsonl", 1, **{name: value})
    with pytest.raises(InputError, match=r"incidents\.jsonl:1"):
        read_results(folder)
