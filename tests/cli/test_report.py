"""`infraspectre report`: what was found, in the forms in which it is handed on."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import copytree

import pytest
import stix2

import infraspectre
from conftest import SAMPLE
from infraspectre.cli import run


def test_the_page_is_that_of_the_analysis(analyzed: Path, tmp_path: Path) -> None:
    assert run(["report", str(analyzed), "--html", str(tmp_path / "page.html"), "--quiet"]) == 0
    assert (tmp_path / "page.html").read_bytes() == (analyzed / "report.html").read_bytes()


def test_one_incident_can_be_told_alone(analyzed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = json.loads((analyzed / "incidents.jsonl").read_text().splitlines()[0])
    page = tmp_path / "page.html"
    arguments = ["--incident", first["incident_id"][:8], "--html", str(page), "--json"]
    assert run(["report", str(analyzed), *arguments]) == 0
    assert json.loads(capsys.readouterr().out) == {"incidents": 1, "packets": 0, "files": [str(page)]}
    assert 'id="incident-1"' in page.read_text()
    assert 'id="incident-2"' not in page.read_text()


def test_the_layer_holds_every_technique_with_its_highest_score(analyzed: Path, tmp_path: Path) -> None:
    assert run(["report", str(analyzed), "--navigator", str(tmp_path / "layer.json"), "--quiet"]) == 0
    layer = json.loads((tmp_path / "layer.json").read_text())
    incidents = [json.loads(line) for line in (analyzed / "incidents.jsonl").read_text().splitlines()]
    scores: dict[tuple[str, str], float] = {}
    for each in incidents:
        for shown in each["techniques"]:
            key = shown["id"], shown["tactic"]
            scores[key] = max(scores.get(key, 0.0), each["threat_score"]["value"])
    assert {(each["techniqueID"], each["tactic"]): each["score"] for each in layer["techniques"]} == scores
    assert layer["versions"]["layer"] == "4.5"
    assert layer["domain"] == "enterprise-attack"


def test_the_stix_bundle_holds_every_incident_and_nothing_twice(analyzed: Path, tmp_path: Path) -> None:
    written = [tmp_path / "one.json", tmp_path / "two.json"]
    for path in written:
        assert run(["report", str(analyzed), "--stix", str(path), "--quiet"]) == 0
    assert written[0].read_bytes() == written[1].read_bytes()
    assert stix2.parse(written[0].read_text(), allow_custom=True).type == "bundle"
    bundle = json.loads(written[0].read_text())
    known = {each["id"]: each for each in bundle["objects"]}
    assert len(known) == len(bundle["objects"])
    incidents = [json.loads(line) for line in (analyzed / "incidents.jsonl").read_text().splitlines()]
    told = [each for each in bundle["objects"] if each["type"] == "incident"]
    assert sorted(each["name"] for each in told) == sorted(each["title"] for each in incidents)
    for each in bundle["objects"]:
        ends = [each[name] for name in ("source_ref", "target_ref", "created_by_ref") if name in each]
        assert all(end in known for end in [*ends, *each.get("object_refs", ())])


def test_evidence_holds_the_flows_of_the_incidents_and_no_others(analyzed: Path, tmp_path: Path) -> None:
    evidence = tmp_path / "evidence.pcapng"
    arguments = ["--evidence", str(evidence), "--capture", str(SAMPLE), "--quiet"]
    assert run(["report", str(analyzed), *arguments]) == 0
    named = {
        flow
        for line in (analyzed / "incidents.jsonl").read_text().splitlines()
        for found in json.loads(line)["detections"]
        for flow in found["flow_ids"]
    }
    batches = list(infraspectre.flows(evidence))
    ids = {each for batch in batches for each in batch.frame["community_id"].to_list()}
    whole = [batch.frame for batch in infraspectre.flows(SAMPLE)]
    wanted = {
        each
        for frame in whole
        for flow, each in zip(frame["flow_id"], frame["community_id"], strict=True)
        if flow in named
    }
    assert ids == wanted


def test_what_cannot_be_written_is_said(analyzed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", str(analyzed)]) == 2
    assert run(["report", str(analyzed), "--evidence", str(tmp_path / "e.pcapng")]) == 2
    assert run(["report", str(analyzed), "--incident", "nobody", "--html", str(tmp_path / "h.html")]) == 2
    assert run(["report", str(tmp_path), "--html", str(tmp_path / "h.html")]) == 2
    told = capsys.readouterr().err
    for part in ("nothing to write", "need each other", "there is no incident nobody", "summary.json"):
        assert part in told


def test_flows_that_are_no_table_are_named(analyzed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = copytree(analyzed, tmp_path / "copy")
    (folder / "flows.parquet").write_bytes(b"PAR1 and nothing else")
    assert run(["report", str(folder), "--html", str(tmp_path / "h.html")]) == 2
    assert "flows.parquet" in capsys.readouterr().err
