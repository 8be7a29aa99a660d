"""Rules from Python, and as part of an analysis."""

from __future__ import annotations

import gc
import json
from pathlib import Path

import pytest

import infraspectre
from infraspectre.cli import run
from infraspectre.errors import UsageError
from rule_lines import rule

pytestmark = pytest.mark.usefixtures("fake_signatures")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "my.rules"
    path.write_text(f"{rule(1)}\n{rule(2, content='absent')}\n")
    return path


def test_loaded_rules_say_what_they_are(file: Path) -> None:
    rules = infraspectre.load_rules(file)
    assert (len(rules), rules.refused, repr(rules)) == (2, [], "Rules: 2 in 1 files, 0 refused")
    assert repr(infraspectre.load_rules([file])) == repr(rules)


def test_what_the_engine_reads_stays_as_long_as_the_rules_do(file: Path) -> None:
    rules = infraspectre.load_rules(file)
    classes = Path(rules.settings["classification-file"])
    assert classes.exists()
    del rules
    gc.collect()
    assert not classes.parent.exists()


def test_settings_come_from_a_file_and_the_command_line(file: Path, tmp_path: Path) -> None:
    from infraspectre.rulebook import Told

    config = tmp_path / "suricata.yaml"
    config.write_text("vars: {address-groups: {HOME_NET: 10.0.0.0/8, DNS_SERVERS: any}}\n")
    told = Told(config, ["vars.address-groups.HOME_NET=any", "checksums=none"])
    groups = "vars.address-groups."
    expected = {f"{groups}HOME_NET": "any", f"{groups}DNS_SERVERS": "any", "checksums": "none"}
    assert told.load([file]).settings.items() >= expected.items()


def test_alerts_become_detections_of_an_analysis(capture: Path, file: Path, tmp_path: Path) -> None:
    analysis = infraspectre.analyze(capture, signatures=infraspectre.load_rules(file), out=tmp_path / "out")
    assert [one.detector for one in analysis.detections] == ["signatures"]
    assert (analysis.summary.alerts, analysis.summary.detections, analysis.summary.incidents) == (1, 1, 1)
    alerts = (tmp_path / "out" / "alerts.jsonl").read_text().splitlines()
    assert [json.loads(line)["alert"]["signature_id"] for line in alerts] == [1]


def test_an_analysis_without_rules_has_no_alerts(capture: Path) -> None:
    assert infraspectre.analyze(capture).summary.alerts == 0


def test_rules_need_captures_that_can_be_read_twice(capture: Path, file: Path, tmp_path: Path) -> None:
    rules = infraspectre.load_rules(file)
    log = Path(__file__).parent / "journey" / "cases" / "zeek-tsv" / "input"
    with pytest.raises(UsageError, match="rules match packets, and this is a Zeek log"):
        infraspectre.analyze(log, signatures=rules)


def test_the_command_reports_refused_rules(
    capture: Path, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["analyze", str(capture), "--rules", str(file), "--out", str(tmp_path / "out"), "--json"]
    assert run(command) == 0
    assert json.loads(capsys.readouterr().out)["alerts"] == 1
    file.write_text(f"{file.read_text()}{rule(3, more='nonsense; ')}\n")
    assert run(command) == 3
    assert f"warning: {file}:3: 1:3: there is no keyword nonsense" in capsys.readouterr().err
    assert run(["analyze", "-", "--rules", str(file), "--out", str(tmp_path / "out")]) == 2
    assert "-: can be read only once" in capsys.readouterr().err
