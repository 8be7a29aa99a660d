"""Boards, rules and runbooks: they fit the metrics that there are, and alerts fire when they should."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
import yaml

from infraspectre.serving.metrics import FAMILIES, markdown

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy" / "prometheus"
BOARDS = sorted((ROOT / "deploy" / "grafana" / "boards").glob("*.json"))
RUNBOOKS = ROOT / "docs" / "runbooks"
PROMTOOL = shutil.which("promtool")
KNOWN = {each.name: set(each.labels) for each in FAMILIES if each.kind != "histogram"} | {
    f"{each.name}_{part}": {*each.labels, *(("le",) if part == "bucket" else ())}
    for each in FAMILIES
    if each.kind == "histogram"
    for part in ("bucket", "count", "sum")
}
SELECTOR = re.compile(r"\b((?:infraspectre|http_server)[a-z0-9_:]*)(\{[^}]*\})?")
MATCHER = re.compile(r"([a-z_]+)\s*(?:=~|!~|!=|=)\s*\"")
GROUPING = re.compile(r"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)")


def tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec
    assert spec.loader
    module = sys.modules[name] = importlib.util.module_from_spec(spec)  # types are looked up there
    spec.loader.exec_module(module)
    return module


@cache
def rules(file: str) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load((RULES / file).read_text())["groups"] for rule in group["rules"]]


def charts() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in BOARDS:
        for panel in msgspec.json.decode(path.read_bytes())["panels"]:
            yield path.stem, panel


def expressions() -> Iterator[tuple[str, str]]:
    for each in [*rules("recording.yaml"), *rules("alerts.yaml")]:
        yield each.get("record") or each["alert"], each["expr"]
    for board, panel in charts():
        for target in panel["targets"]:
            yield f"{board}: {panel['title']}", target["expr"]


@cache
def known() -> dict[str, set[str]]:
    """The labels of each series that there is, recorded ones among them."""
    return KNOWN | {each["record"]: {"slo"} for each in rules("recording.yaml")}


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_what_is_asked_for_exists_with_these_labels(where: str, expression: str) -> None:
    series = known()
    selected = SELECTOR.findall(expression)
    assert selected or expression.startswith("vector("), where
    for name, matchers in selected:
        assert name in series, f"{where}: {name}"
        assert set(MATCHER.findall(matchers)) <= series[name], f"{where}: {name}{matchers}"
    there = {label for name, _ in selected for label in series[name]}
    grouped = {label.strip() for found in GROUPING.findall(expression) for label in found.split(",") if label.strip()}
    assert grouped <= there, where


def test_every_metric_is_on_a_board_or_in_a_rule() -> None:
    asked = {name for _, expression in expressions() for name, _ in SELECTOR.findall(expression)}
    unseen = [each.name for each in FAMILIES if not {each.name, f"{each.name}_bucket"} & asked]
    assert unseen == ["infraspectre_worker_flows"]  # an account that is read as it stands


def test_every_metric_is_in_the_reference_and_named_by_the_rules_of_prometheus() -> None:
    page = markdown()
    for each in FAMILIES:
        assert f"`{each.name}`" in page
        assert re.fullmatch(r"[a-z][a-z0-9_]*", each.name)
        assert (each.kind == "counter") == each.name.endswith("_total"), each.name
        assert each.kind != "histogram" or each.name.endswith("_seconds")


def test_boards_and_objectives_are_fresh() -> None:
    for name, text in tool("boards").texts().items():
        assert (ROOT / "deploy" / "grafana" / "boards" / name).read_text() == text, "run python tools/boards.py"
    assert (RULES / "recording.yaml").read_text() == tool("recording").text(), "run python tools/recording.py"


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_boards_are_whole(path: Path) -> None:
    board = msgspec.json.decode(path.read_bytes())
    assert {"uid", "title", "schemaVersion", "panels", "templating", "time", "refresh"} <= board.keys()
    assert board["uid"] == f"infraspectre-{path.stem}"
    panels = board["panels"]
    assert len({each["id"] for each in panels}) == len(panels)
    assert len({each["title"] for each in panels}) == len(panels)
    places = [(each["gridPos"]["x"], each["gridPos"]["y"]) for each in panels]
    assert len(set(places)) == len(places)
    for each in panels:
        assert each["fieldConfig"]["defaults"]["unit"], each["title"]
        assert len(each["title"].split()) > 2, each["title"]
        assert each["datasource"]["uid"] == "${source}"
        place = each["gridPos"]
        assert place["x"] + place["w"] <= 24
        assert [target["refId"] for target in each["targets"]] == [*"ABCDEFGH"][: len(each["targets"])]
        for target in each["targets"]:
            labels = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            series = known()
            selected = [series[name] for name, _ in SELECTOR.findall(target["expr"])]
            assert labels <= set().union(*selected), each["title"]


def kebab(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


def test_every_alert_has_its_runbook_and_every_runbook_an_alert() -> None:
    alerts = rules("alerts.yaml")
    for each in alerts:
        assert each["labels"]["severity"] in ("page", "ticket")
        assert {"summary", "description", "runbook_url"} == each["annotations"].keys()
        assert each["annotations"]["runbook_url"] == f"docs/runbooks/{kebab(each['alert'])}.md"
    names = {f"{kebab(each['alert'])}.md" for each in alerts}
    assert names == {path.name for path in RUNBOOKS.glob("*.md")}


@pytest.mark.parametrize("path", sorted(RUNBOOKS.glob("*.md")), ids=lambda path: path.stem)
def test_runbooks_say_what_it_means_how_to_see_what_to_do_and_when_it_is_over(path: Path) -> None:
    text = path.read_text()
    alert = next(each for each in rules("alerts.yaml") if kebab(each["alert"]) == path.stem)
    assert text.startswith(f"# {alert['alert']}\n")
    assert f"Severity {alert['labels']['severity']}:" in text
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    assert parts[1::2] == ["What it means", "How to see", "What to do", "How to know it is over"]
    assert all(len(part.split()) >= 3 for part in parts[2::2])
    for link in re.findall(r"\]\(([^)]+)\)", text):
        assert (path.parent / link).exists(), link


TRIALS: dict[str, dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "alerts.yaml").read_text())


def test_every_alert_is_tried_out() -> None:
    assert TRIALS.keys() == {each["alert"] for each in rules("alerts.yaml")}


def promtool(*arguments: str) -> str:
    if PROMTOOL is None:
        pytest.skip("promtool (Debian's prometheus) is not installed")
    done = subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_takes_the_rules_and_the_configuration() -> None:
    promtool("check", "rules", "--lint-fatal", str(RULES / "recording.yaml"), str(RULES / "alerts.yaml"))
    promtool("check", "config", "--syntax-only", str(RULES / "prometheus.yaml"))


def fires(name: str, series: dict[str, str], at: str, expected: bool) -> dict[str, Any]:
    """A test of promtool: whether an alert fires; what its annotations say is not compared."""
    count = f'count(ALERTS{{alertname="{name}",alertstate="firing"}}) > bool 0'
    sample = {"labels": "{}", "value": 1}
    return {
        "interval": "1m",
        "input_series": given(series),
        "promql_expr_test": [{"expr": count, "eval_time": at, "exp_samples": [sample] if expected else []}],
    }


def test_alerts_fire_when_they_should_and_not_otherwise(tmp_path: Path) -> None:
    tests = []
    for name, trial in TRIALS.items():
        tests += [fires(name, trial["fires"], trial["at"], expected=True)]
        tests += [fires(name, trial["quiet"], trial["at"], expected=False)]
    check(tmp_path, "alerts.yaml", tests)


def test_objectives_measure_the_share_that_goes_wrong(tmp_path: Path) -> None:
    tests = []
    for each in yaml.safe_load((Path(__file__).parent / "objectives.yaml").read_text()):
        question = f'round(infraspectre:slo_errors:ratio_rate5m{{slo="{each["slo"]}"}}, 0.0001)'
        sample = {"labels": f'{{slo="{each["slo"]}"}}', "value": each["expected"]}
        asked = {"expr": question, "eval_time": "30m", "exp_samples": [sample]}
        tests.append({"interval": "1m", "input_series": given(each["series"]), "promql_expr_test": [asked]})
    check(tmp_path, "recording.yaml", tests)


def given(series: dict[str, str]) -> list[dict[str, str]]:
    return [{"series": each, "values": values} for each, values in series.items()]


def check(folder: Path, rules: str, tests: list[dict[str, Any]]) -> None:
    path = folder / "tests.yaml"
    path.write_text(yaml.safe_dump({"rule_files": [str(RULES / rules)], "evaluation_interval": "1m", "tests": tests}))
    promtool("test", "rules", str(path))
