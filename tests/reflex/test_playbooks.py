from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from findings import correlated, finding
from infraspectre.errors import InputError
from infraspectre.intel.families import FAMILIES, OTHER
from infraspectre.records import Detection, Incident, ResponsePlan
from infraspectre.reflex.playbooks import Playbooks, builtin_playbooks, in_yaml, read_file, read_folder
from infraspectre.reflex.queries import queries

FLOW_COLUMNS = """
    flow_id UBIGINT, orig_ip VARCHAR, orig_port USMALLINT, resp_ip VARCHAR, resp_port USMALLINT, protocol VARCHAR,
    app_protocol VARCHAR, started_at BIGINT, ended_at BIGINT, duration_ms DOUBLE, orig_packets UINTEGER,
    orig_bytes UBIGINT, resp_bytes UBIGINT, end_reason VARCHAR, http_hosts VARCHAR[], http_uris VARCHAR[],
    http_statuses UBIGINT[], http_user_agents VARCHAR[]
"""


BOOKS = Playbooks.load()


def incident(*detections: Detection) -> Incident:
    return correlated(detections)[0]


def plan(*detections: Detection) -> ResponsePlan:
    return BOOKS.plan(incident(*detections), "critical")


CATEGORIES = [each.keywords[0] for each in FAMILIES] + ["unheard"]


def test_every_family_has_its_playbook() -> None:
    assert {each.name for each in (*FAMILIES, OTHER)} == set(BOOKS._by_family)


@pytest.mark.parametrize("category", CATEGORIES)
def test_every_query_runs(category: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    duckdb = pytest.importorskip("duckdb")
    monkeypatch.chdir(tmp_path)
    duckdb.sql(f"CREATE TABLE f ({FLOW_COLUMNS}); COPY f TO 'flows.parquet'")
    steps = plan(finding(1, category=category), finding(2, resp="2001:db8::1", category=category)).steps
    words = [shlex.split(step.command) for step in steps if step.command.startswith("duckdb")]
    assert words
    for _, flag, query in words:
        assert (flag, duckdb.sql(query).fetchall()) == ("-c", [])
    duckdb.sql("DROP TABLE f")


def test_a_story_of_several_families_is_answered_in_all_of_them() -> None:
    story = plan(
        finding(1, "203.0.113.9", "10.0.0.5", category="ssh_brute_force", severity="high", at=1),
        finding(2, "10.0.0.5", "192.0.2.7", category="malware_download", severity="medium", at=2),
    )
    assert story.playbook == "Answer to password guessing; Answer to a suspicious download"
    assert {"203.0.113.9", "192.0.2.7", "10.0.0.5"} <= {step.target for step in story.steps if step.kind == "contain"}
    assert len({(step.title, step.target) for step in story.steps}) == len(story.steps)
    kinds = [step.kind for step in story.steps]
    assert kinds == sorted(kinds, key=["investigate", "contain", "eradicate", "recover", "notify"].index)


def test_plans_name_targets_and_never_act() -> None:
    steps = plan(finding(1, "203.0.113.9", "10.0.0.5", category="ssh_brute_force", severity="high")).steps
    (block,) = [step for step in steps if step.command.startswith("nft")]
    assert (block.command, block.target) == (
        "nft add rule inet filter forward ip saddr 203.0.113.9 drop",
        "203.0.113.9",
    )
    assert {step.kind for step in steps} >= {"investigate", "contain", "eradicate", "notify"}
    assert not any(step.automatic for step in steps)


@pytest.mark.parametrize("hostile", ["$(reboot)", "10.0.0.5; reboot", "fe80::1%$(reboot)", "x' OR 'a'='a", "`reboot`"])
def test_no_hostile_text_reaches_a_command(hostile: str) -> None:
    for category in CATEGORIES:
        steps = plan(finding(1, hostile, hostile, category=category), finding(2, hostile, "10.0.0.5")).steps
        assert not any(hostile in step.command or "reboot" in step.command for step in steps)


def test_the_level_decides_which_steps_apply() -> None:
    told = incident(finding(1, category="ssh_brute_force"))
    assert len(BOOKS.plan(told, "low").steps) < len(BOOKS.plan(told, "high").steps)
    assert (BOOKS.plan(told, "low").priority, BOOKS.plan(told, "critical").priority) == ("P4", "P1")


def test_an_own_playbook_comes_first(tmp_path: Path) -> None:
    text = (
        "name: Ours\nfamilies: [scan]\nsteps:\n- {title: Ask, kind: notify, target: actor, command: 'ask $address'}\n"
    )
    (tmp_path / "own.yaml").write_text(text, encoding="utf-8")
    own = Playbooks.load(tmp_path).plan(incident(finding(1)), "low")
    assert (own.playbook, own.steps[0].command) == ("Ours", "ask 10.0.0.9")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("name: x\nfamilies: [scan]\nsteps:\n- title: a\n  kind: destroy\n", 5, "Invalid enum value"),
        ("name: x\nfamilies: [scan]\nsteps:\n- title: a\n  kind: notify\n- kind: notify\n", 6, "title"),
        ("name: x\nfamilies: [scans]\nsteps: []\n", 1, "no family scans"),
        ("name: x\nfamilies: [scan]\nsteps:\n- {title: a, kind: notify, command: 'x $address'}\n", 4, "placeholder"),
        ("name: x\nfamilies: [scan]\nsteps:\n- {title: a, kind: notify, command: 'costs 5 $'}\n", 4, "placeholder"),
        ("name: x\nfamilies: [scan]\nsteps: [}\n", 3, "expected|did not find"),
    ],
)
def test_errors_name_file_and_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    (tmp_path / "own.yaml").write_text(text, encoding="utf-8")
    (fault,) = read_folder(tmp_path).faults
    assert re.search(words, str(fault))
    assert (fault.path, fault.line) == (str(tmp_path / "own.yaml"), line)


def test_all_faults_are_told_at_once_and_the_rest_is_used(tmp_path: Path) -> None:
    bad_step = "- {title: a, kind: destroy}\n"
    (tmp_path / "a.yaml").write_text(
        f"name: x\nfamilies: [scans]\nsteps:\n{bad_step}- kind: notify\n", encoding="utf-8"
    )
    (tmp_path / "b.json").write_text('{\n"type": "playbook"}', encoding="utf-8")
    (tmp_path / "c.yaml").write_text("name: Good\nfamilies: [scan]\nsteps: []\n", encoding="utf-8")
    (tmp_path / "escalation.yaml").write_text("- to: me\n  within_minutes: 0\n", encoding="utf-8")
    shelf = read_folder(tmp_path)
    assert [(Path(each.path or "").name, each.line) for each in shelf.faults][:3] == [
        ("a.yaml", 4),
        ("a.yaml", 5),
        ("a.yaml", 1),
    ]
    assert {Path(each.path or "").name for each in shelf.faults} == {"a.yaml", "b.json", "escalation.yaml"}
    assert [each.name for each in shelf.playbooks] == ["Good"]
    assert Playbooks.load(tmp_path).plan(incident(finding(1)), "low").playbook == "Good"


def test_steps_have_deadlines_and_what_changes_something_a_lease() -> None:
    steps = plan(finding(1, "203.0.113.9", "10.0.0.5", category="ssh_brute_force", severity="high")).steps
    assert all(step.deadline_s > 0 for step in steps)
    assert {step.kind for step in steps if step.lease_s} == {"contain"}
    (block,) = [step for step in steps if step.command.startswith("nft")]
    assert (block.deadline_s, block.lease_s) == (900, 86_400)


def test_questions_are_asked_of_other_tools_too() -> None:
    steps = plan(finding(1, category="beacon", resp="192.0.2.7")).steps
    asked = [step for step in steps if step.queries]
    assert asked
    assert all(step.queries.keys() == {"zeek", "suricata", "splunk"} for step in asked)
    told = "\n".join(text for step in asked for text in step.queries.values())
    assert "$address" not in told
    assert "awk '$1 ==" in told


def test_every_question_is_asked_by_a_playbook() -> None:
    assert {step.query for each in builtin_playbooks() for step in each.steps} - {""} == queries().keys()


def test_a_playbook_written_in_yaml_reads_the_same(tmp_path: Path) -> None:
    for number, each in enumerate(builtin_playbooks()):
        path = tmp_path / f"{number}.yaml"
        path.write_text(in_yaml(each), encoding="utf-8")
        assert read_file(path) == (each, [])


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a folder"):
        Playbooks.load(tmp_path / "none")


def test_targets_beyond_the_first_few_are_named_too() -> None:
    story = [finding(n, "10.0.0.9", f"10.0.1.{n}", category="remote_execution", severity="high") for n in range(1, 30)]
    steps = [step for step in plan(*story).steps if step.title.startswith("Propose to isolate")]
    assert [step.target for step in steps if step.target][1:] == ["10.0.1.1", "10.0.1.2", "10.0.1.3"]
    (further,) = [step.title for step in steps if not step.target]
    assert further.endswith(": likewise " + ", ".join(f"10.0.1.{n}" for n in range(4, 16)) + " and 14 more")


def test_a_vulnerability_scan_of_a_web_server_is_answered_as_a_web_attack() -> None:
    assert plan(finding(1, category="vulnerability_scan")).playbook == "Answer to a web attack"
