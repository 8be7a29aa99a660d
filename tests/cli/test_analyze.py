"""`infraspectre analyze --rules`: rules of all kinds find what they describe, and what is refused is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infraspectre.cli import run
from rule_lines import rule
from sigma_rules import BROKEN, DISCARD, MANY, PROCESS, documents

pytestmark = pytest.mark.usefixtures("fake_signatures")

OWN = "rules: [{id: web, title: t, severity: low, when: resp_port == 9}]\n"
UNSEEN = "Sigma rules that see nothing in network traffic: 1; 'infraspectre rules list' names them\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rules" / "inner").mkdir(parents=True)
    return tmp_path / "rules"


def detectors(capture: Path, rules: Path, status: int) -> list[str]:
    """Analyze a capture with rules and return who found something."""
    out = capture.parent / "out"
    assert run(["analyze", str(capture), "--rules", str(rules), "--out", str(out), "--json"]) == status
    lines = (out / "detections.jsonl").read_text().splitlines()
    return sorted(json.loads(line)["detector"] for line in lines)


def test_a_sigma_rule_finds_what_it_describes(capture: Path, folder: Path) -> None:
    (folder / "discard.yml").write_text(DISCARD)
    assert detectors(capture, folder / "discard.yml", 0) == ["sigma"]
    (found,) = map(json.loads, (capture.parent / "out" / "detections.jsonl").read_text().splitlines())
    assert (found["category"], found["severity"], found["resp"]) == ("discard_service_is_used", "high", "10.0.0.2")
    assert [technique["id"] for technique in found["techniques"]] == ["T1095"]


def test_correlations_join_the_incidents_of_the_bundled_capture(folder: Path, tmp_path: Path) -> None:
    door = DISCARD.replace("dst_port: 9", "dst_port: 22")
    (folder / "doors.yml").write_text(documents(door, MANY.replace("gte: 3", "gte: 20")))
    sample = Path(__file__).parents[2] / "examples" / "sample.pcap.gz"
    arguments = ["--rules", str(folder), "--out", str(tmp_path / "out"), "--quiet"]
    assert run(["analyze", str(sample), *arguments]) == 0
    incidents = map(json.loads, (tmp_path / "out" / "incidents.jsonl").read_text().splitlines())
    (found,) = [one for one in incidents if any(each["detector"] == "sigma" for each in one["detections"])]
    assert {"scan", "lateral_movement", "sigma"} <= {each["detector"] for each in found["detections"]}
    assert [each["category"] for each in found["detections"] if each["detector"] == "sigma"] == ["many"]


def test_a_folder_may_hold_rules_of_all_kinds(capture: Path, folder: Path) -> None:
    (folder / "my.rules").write_text(f"{rule(1)}\n")
    (folder / "inner" / "sigma.yaml").write_text(DISCARD)
    (folder / "inner" / "own.yaml").write_text(OWN)
    (folder / "infraspectre-rules.yaml").write_text("decisions: []\n")
    (folder / "compose.yaml").write_text("services: {}\n")
    assert detectors(capture, folder, 0) == ["rule:web", "sigma", "signatures"]


def test_refused_rules_are_named_and_unseen_ones_counted(
    capture: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "my.rules").write_text(f"{rule(3, more='nonsense; ')}\n")
    (folder / "sigma.yml").write_text(documents(DISCARD, PROCESS, BROKEN))
    (folder / "torn.yml").write_text("title: torn\ndetection: [\n")
    assert detectors(capture, folder, 3) == ["sigma"]
    said = capsys.readouterr().err
    assert f"warning: {folder}/my.rules:1: 1:3: there is no keyword nonsense; did you mean noalert?\n" in said
    assert f"warning: {folder}/sigma.yml:20: detection.selection.dst_port|nope: there is no modifier 'nope'; " in said
    assert f"warning: {folder}/torn.yml:3: " in said
    assert said.endswith(UNSEEN)
    assert "process" not in said


@pytest.mark.parametrize(("text", "told"), [(BROKEN, "there is no modifier 'nope'"), (PROCESS, "no rule can be used")])
def test_where_no_rule_can_be_used_nothing_is_analyzed(
    text: str, told: str, capture: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "sigma.yml").write_text(text)
    assert run(["analyze", str(capture), "--rules", str(folder), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert told in said
    assert "no rule can be used; 'infraspectre rules check' says why" in said
    assert not (tmp_path / "out").exists()
