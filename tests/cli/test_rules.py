"""`infraspectre rules`: what each command says, notes and returns."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from infraspectre.cli import run
from rule_lines import rule
from sigma_rules import BROKEN, DISCARD, PROCESS, documents

pytestmark = pytest.mark.usefixtures("fake_signatures")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an enabled rule, a disabled one, and one that is refused."""
    (tmp_path / "rules").mkdir()
    lines = [rule(1, more="classtype:trojan-activity; "), f"#{rule(2, msg='off [x]')}", rule(3, more="nonsense; ")]
    (tmp_path / "rules" / "my.rules").write_text("\n".join([*lines, ""]))
    return tmp_path / "rules"


def told(arguments: list[str], capsys: pytest.CaptureFixture[str], status: int = 0) -> str:
    assert run(["rules", *arguments]) == status
    said = capsys.readouterr()
    return said.out + said.err


def listed(folder: Path, capsys: pytest.CaptureFixture[str], *options: str) -> list[tuple[int, bool]]:
    shown = json.loads(told(["list", str(folder), "--json", *options], capsys))
    return [(one["sid"], one["is_enabled"]) for one in shown]


def test_check_names_each_refusal(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = told(["check", str(folder)], capsys, 3)
    assert f"{folder}/my.rules:3: 1:3: there is no keyword nonsense; did you mean noalert?\n" in text
    assert "1 file: 1 rule can be used, 1 cannot" in text
    result = json.loads(told(["check", str(folder), "--json"], capsys, 3))
    assert (result["files"], result["rules"], result["loaded"]) == (1, 2, 1)
    (refused,) = result["refused"]
    assert (refused["path"], refused["line"], refused["sid"]) == (f"{folder}/my.rules", 3, 3)


def test_check_says_where_a_switched_rule_really_stands(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told(["disable", str(folder), "--rule", "1"], capsys)
    assert f"{folder}/my.rules:3: 1:3: there is no keyword" in told(["check", str(folder)], capsys, 3)
    told(["disable", str(folder), "--rule", "3"], capsys)
    assert "0 rules can be used, 0 cannot" in told(["check", str(folder)], capsys)


def test_list_shows_rules_and_whether_they_are_enabled(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = told(["list", str(folder)], capsys)
    assert [line.split() for line in text.splitlines() if ":1" in line or ":2" in line] == [
        ["1:1", "1", "enabled", "trojan-activity", "said", "test"],
        ["1:2", "1", "disabled", "off", "[x]"],
    ]
    assert listed(folder, capsys, "--only", "disabled") == [(2, False)]
    assert listed(folder, capsys, "--classtype", "trojan-activity") == [(1, True)]


def test_rules_of_other_kinds_are_checked_listed_and_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "sigma.yml").write_text(documents(DISCARD, PROCESS, BROKEN))
    (folder / "own.yaml").write_text("rules: [{id: web, title: Web, severity: low, when: resp_port == 80}]")
    text = told(["check", str(folder)], capsys, 3)
    assert f"{folder}/sigma.yml:20: detection.selection.dst_port|nope: there is no modifier" in text
    assert text.splitlines()[-3:] == [
        "1 file: 1 rule can be used, 1 cannot",
        "1 file: 1 Sigma rule can be used, 1 cannot, 1 sees nothing in network traffic",
        "1 file: 1 own rule can be used, 0 cannot",
    ]
    result = json.loads(told(["check", str(folder), "--json"], capsys, 3))
    assert [result[name] for name in ("files", "rules", "loaded", "unseen")] == [3, 6, 3, 1]
    rows = told(["list", str(folder)], capsys)
    assert [line.split()[0] for line in rows.splitlines()[3:-1] if line[1:2].strip()] == [
        *("1:1", "1:2", "1:3", "discard-used", "process", "web")
    ]
    shown = told(["show", str(folder), "--rule", "discard-used"], capsys)
    assert shown == (
        f"discard-used: Discard service is used\n{folder}/sigma.yml:1, enabled\nsigma: category firewall\n\n{DISCARD}"
    )
    assert "1:1 rev 1: said test" in told(["show", str(folder), "--rule", "1"], capsys)
    assert "no rule is named so" in told(["show", str(folder), "--rule", "nobody"], capsys, 2)


def test_decisions_hold_and_stand_in_a_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = folder / "infraspectre-rules.yaml"
    assert told(["disable", str(folder), "--msg", "said", "--reason", "loud"], capsys) == (
        f"disable: 2 rules, noted in {place}\n"
    )
    told(["enable", str(folder), "--rule", "1:2"], capsys)
    assert listed(folder, capsys) == [(1, False), (2, True), (3, False)]
    assert json.loads(told(["suppress", str(folder), "--rule", "2", "--json"], capsys)) == {
        "state": str(place),
        "rules": 1,
    }
    text = told(["show", str(folder), "--rule", "1"], capsys)
    assert text.splitlines()[:3] == ["1:1 rev 1: said test", f"{folder}/my.rules:1, disabled", "disable msg said: loud"]
    assert rule(1, more="classtype:trojan-activity; ") in text


def test_decisions_may_stand_elsewhere(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = str(tmp_path / "state.yaml")
    told(["disable", str(folder), "--rule", "1", "--state", state], capsys)
    assert listed(folder, capsys, "--only", "enabled") == [(1, True), (3, True)]
    assert listed(folder, capsys, "--only", "enabled", "--state", state) == [(3, True)]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["disable"], "no rule is named"),
        (["show", "--rule", "99"], "no rule is named so"),
        (["disable", "--rule", "x"], "'x' is no rule"),
        (["disable", "--rule", "99"], "no rule is named so"),
        (["disable", "--msg", "("], "msg is no regular expression"),
        (["suppress", "--rule", "1", "--ip", "10.0.0.1"], "track and ip belong together"),
        (["suppress", "--rule", "1", "--track", "by_src", "--ip", "home"], "ip is no address"),
    ],
)
def test_what_names_no_rule_ends_with_2(
    folder: Path, arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command, *options = arguments
    assert problem in told([command, str(folder), *options], capsys, 2)
    assert not (folder / "infraspectre-rules.yaml").exists()


def test_profile_lists_the_dearest_rules_first(folder: Path, capture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told(["enable", str(folder), "--rule", "2"], capsys)
    assert "there is no keyword" in told(["profile", str(capture), "--rules", str(folder), "--quiet"], capsys, 3)
    told(["disable", str(folder), "--rule", "3"], capsys)
    costs = json.loads(told(["profile", str(capture), "--rules", str(folder), "--json"], capsys))
    assert [(cost["sid"], cost["ns"]) for cost in costs] == [(2, 2), (1, 1)]
    assert "1:1" not in told(["profile", str(capture), "--rules", str(folder), "--top", "1"], capsys)


def test_tests_pass_or_fail(folder: Path, capture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(capture, folder / "a.pcap")
    (folder / "good.expect.yaml").write_text("{capture: a.pcap, rules: [my.rules], expect: {1: 1, 2: 0}}")
    assert "1 passed, 0 failed" in told(["test", str(folder)], capsys)
    (folder / "bad.expect.yaml").write_text("{capture: a.pcap, expect: {1: '>1'}}")
    text = told(["test", str(folder), "--rules", str(folder)], capsys, 1)
    assert "1:1: expected >1, found 1" in text
    verdicts = json.loads(told(["test", str(folder), "--json"], capsys, 1))
    assert [(Path(one["path"]).name, one["is_passed"]) for one in verdicts["signatures"]] == [
        ("bad.expect.yaml", False),
        ("good.expect.yaml", True),
    ]


def test_updates_say_what_became_of_each_source(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sources, out = tmp_path / "sources.yaml", tmp_path / "sets"
    sources.write_text("sources: [{name: site, path: rules}, {name: gone, path: absent}]")
    assert run(["rules", "update", str(sources), "--out", str(out)]) == 3
    assert [
        line.split()[:2] for line in capsys.readouterr().out.splitlines() if line.startswith((" site", " gone"))
    ] == [
        ["site", "updated"],
        ["gone", "failed"],
    ]
    sources.write_text("sources: [{name: site, path: rules}]")
    assert json.loads(told(["update", str(sources), "--out", str(out), "--json"], capsys))[0]["status"] == "unchanged"
    sources.write_text("sources: [{name: gone, path: absent}]")
    told(["update", str(sources), "--out", str(out)], capsys, 1)
    told(["disable", str(out), "--rule", "1"], capsys)
    assert listed(out, capsys) == [(1, False), (2, False), (3, True)]
