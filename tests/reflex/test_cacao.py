from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from infraspectre.errors import InputError
from infraspectre.reflex import cacao
from infraspectre.reflex.playbooks import Playbook, PlaybookStep, builtin_playbooks, in_yaml, read_file

AT = "2026-01-01T00:00:00.000000Z"
FOREIGN: dict[str, Any] = {
    "type": "playbook",
    "spec_version": "cacao-2.0",
    "id": "playbook--300270f9-0e64-42c8-93cc-0927edbe3ae7",
    "name": "Quarantine",
    "playbook_types": ["mitigation"],
    "created_by": "identity--96abab60-238a-44ff-8962-5806aa60cbce",
    "created": "2023-11-20T15:56:00.123Z",
    "modified": "2023-11-20T15:56:00.123Z",
    "workflow_start": "start--9e7d62b2-88ac-4656-94e1-dbd4413ba008",
    "workflow": {
        "start--9e7d62b2-88ac-4656-94e1-dbd4413ba008": {
            "type": "start",
            "on_completion": "if-condition--eb9372d4-d524-49fc-bf24-be26ea084779",
        },
        "if-condition--eb9372d4-d524-49fc-bf24-be26ea084779": {
            "type": "if-condition",
            "name": "Is it a server?",
            "condition": "__server__:value == true",
            "on_true": "action--88f4c4df-fa96-44e6-b310-1c06d193ea55",
            "on_false": "end--6b23c237-ade8-4d00-9aa1-75999738d557",
        },
        "action--88f4c4df-fa96-44e6-b310-1c06d193ea55": {
            "type": "action",
            "name": "Close the port",
            "commands": [
                {"type": "ssh", "command": "close $PORT"},
                {"type": "bash", "command_b64": base64.b64encode(b"date").decode()},
                {"type": "manual", "command": "Tell the owner"},
            ],
            "agent": "ssh--f81b4b2e-0d8f-4e5b-a7f1-2b6d9c6f1a11",
            "on_success": "end--6b23c237-ade8-4d00-9aa1-75999738d557",
            "on_failure": "if-condition--eb9372d4-d524-49fc-bf24-be26ea084779",
        },
        "end--6b23c237-ade8-4d00-9aa1-75999738d557": {"type": "end"},
    },
    "agent_definitions": {"ssh--f81b4b2e-0d8f-4e5b-a7f1-2b6d9c6f1a11": {"type": "ssh", "name": "gateway"}},
}


def written(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")
    return path


@pytest.mark.parametrize("playbook", builtin_playbooks(), ids=lambda each: each.name)
def test_nothing_of_ours_is_lost(playbook: Playbook, tmp_path: Path) -> None:
    path = written(tmp_path / "one.json", cacao.write(playbook, AT))
    assert cacao.read(path) == (playbook, [])
    assert cacao.write(playbook, AT) == json.loads(path.read_text())


def test_a_playbook_of_others_is_read_in_the_order_of_its_steps(tmp_path: Path) -> None:
    playbook, faults = cacao.read(written(tmp_path / "one.json", FOREIGN), ["beacon"])
    assert faults == []
    assert playbook is not None
    assert (playbook.name, playbook.families) == ("Quarantine", ["beacon"])
    condition, action = playbook.steps
    assert condition.title == "Is it a server? (only if __server__:value == true)"
    assert (action.title, action.kind, action.command) == ("Close the port", "contain", "close $$PORT; date")


def test_everything_wrong_is_told_with_its_line(tmp_path: Path) -> None:
    broken = json.loads(json.dumps(FOREIGN))
    del broken["created"]
    broken["spec_version"] = "cacao-1.0"
    action = broken["workflow"]["action--88f4c4df-fa96-44e6-b310-1c06d193ea55"]
    action |= {"agent": "ssh--none", "on_success": "end--nowhere"}
    broken["workflow"]["while--1"] = {"type": "while"}
    path = written(tmp_path / "one.json", broken)
    playbook, faults = cacao.read(path)
    assert playbook is None
    told = {(each.line, each.problem) for each in faults}
    lines = path.read_text().splitlines()
    assert (3, "is 'cacao-1.0', not cacao-2.0") in told
    assert any("lacks the property created" in each.problem for each in faults)
    (nowhere,) = [each for each in faults if "end--nowhere" in each.problem]
    assert '"action--88f4c4df' in lines[(nowhere.line or 0) - 1]
    assert any("agent_definitions" in each.problem for each in faults)
    assert any("of the type 'while'" in each.problem for each in faults)


@pytest.mark.parametrize(
    "content", [[], "x", {}, {"type": "playbook", "workflow": []}, {"workflow": {"a": 1, "b": []}}]
)
def test_what_is_no_playbook_is_refused(content: Any, tmp_path: Path) -> None:
    playbook, faults = cacao.read(written(tmp_path / "one.json", content))
    assert playbook is None
    assert faults


def test_broken_json_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_text('{\n\t"type": "playbook",\n\t"name" 1}', encoding="utf-8")
    with pytest.raises(InputError, match="JSON") as caught:
        cacao.read(path)
    assert caught.value.line == 3


def test_tabs_between_signs_are_json(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_text(json.dumps(FOREIGN, indent="\t"), encoding="utf-8")
    assert cacao.read(path)[1] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"playbook_types": None},
        {"playbook_types": [[]]},
        {"workflow_start": []},
        {"playbook_extensions": {cacao.EXTENSION: {"families": 5}}},
        {"playbook_extensions": {cacao.EXTENSION: {"families": [5]}}},
        {"workflow": {name: each | {"type": []} for name, each in FOREIGN["workflow"].items()}},
        {"workflow": {name: each | {"agent": [[]]} for name, each in FOREIGN["workflow"].items()}},
    ],
)
def test_a_value_of_another_type_is_told(wrong: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(FOREIGN | wrong))
    playbook, faults = cacao.read(tmp_path / "a.json")
    assert playbook is None
    assert faults


def test_a_step_of_ours_may_have_lost_its_name(tmp_path: Path) -> None:
    written = cacao.write(builtin_playbooks()[0], AT)
    steps = {
        name: {key: value for key, value in each.items() if key != "name"} for name, each in written["workflow"].items()
    }
    (tmp_path / "a.json").write_text(json.dumps(written | {"workflow": steps}))
    playbook, faults = cacao.read(tmp_path / "a.json")
    assert not faults
    assert playbook
    assert {each.title for each in playbook.steps} == {"action"}


def test_a_step_that_lasts_no_time_is_one_in_yaml_too(tmp_path: Path) -> None:
    step = PlaybookStep("Look", "contain", lease_s=0)
    (tmp_path / "a.yaml").write_text(in_yaml(Playbook("Look", ["scan"], [step])))
    playbook, faults = read_file(tmp_path / "a.yaml")
    assert not faults
    assert playbook
    assert playbook.steps == [step]
