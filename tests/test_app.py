from __future__ import annotations

import gc
import json
from pathlib import Path

import msgspec
import pytest

import infraspectre
from infraspectre import app
from infraspectre.app import load_settings
from infraspectre.errors import ConfigError, InputError, OutputError
from infraspectre.pipeline import Pipeline
from pipeline_fakes import Correlating, Detecting, Stages, decision, detection
from sigma_rules import BROKEN, DISCARD

ZEEK = """#separator \\x09
#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto
#types\ttime\tstring\taddr\tport\taddr\tport\tenum
1700000000.5\tC1\t10.0.0.1\t1\t10.0.0.2\t80\ttcp
"""
FILES = {"alerts.jsonl", "detections.jsonl", "flows.parquet", "incidents.jsonl", "report.html", "summary.json"}


@pytest.fixture
def conn_log(tmp_path: Path) -> Path:
    path = tmp_path / "conn.log"
    path.write_text(ZEEK)
    return path


@pytest.fixture
def faked(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Pipeline(Stages(), Detecting(), Correlating(), Stages())
    monkeypatch.setattr(app, "compose", lambda *_, **__: fake)


@pytest.mark.usefixtures("faked")
def test_analyze_writes_the_promised_files(conn_log: Path, tmp_path: Path) -> None:
    analysis = infraspectre.analyze(conn_log, out=tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["flows"], summary["detections"], summary["incidents"]) == (1, 2, 3)
    assert summary["capture_start"] == "2023-11-14T22:13:20.500000Z"
    found = [json.loads(text) for text in (tmp_path / "out" / "incidents.jsonl").read_text().splitlines()]
    assert found[0]["raised_at"] == "1970-01-01T00:00:00.000003Z"
    assert found[0]["threat_score"]["level"] == "high"
    assert "campaign_id" not in found[0]
    assert found[0]["detections"][0].keys() == {"detection_id", "detector", "category", "flow_ids", "score"}
    assert len(analysis.flows) == 1


@pytest.mark.usefixtures("faked")
def test_a_run_that_fails_leaves_no_summary_of_the_one_before(
    conn_log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "report"
    infraspectre.analyze(conn_log, out=out)

    def fail(*_: object) -> None:
        raise OutputError("no room")

    monkeypatch.setattr("infraspectre.report.render", fail)
    with pytest.raises(OutputError, match="no room"):
        infraspectre.analyze(conn_log, out=out)
    assert not (out / "summary.json").exists()


def test_two_runs_write_the_same_bytes(conn_log: Path, tmp_path: Path) -> None:
    for name in ("first", "second"):
        infraspectre.analyze(conn_log, out=tmp_path / name)
    for name in FILES - {"summary.json", "report.html"}:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes(), name


def test_detections_read_as_their_incident_tells_them() -> None:
    told = decision("d1")
    raised = msgspec.structs.replace(detection("d1"), severity="critical")
    told = msgspec.structs.replace(told, incident=msgspec.structs.replace(told.incident, detections=[raised]))
    assert [each.severity for each in app.as_told([detection("d1"), detection("d2")], [told])] == ["critical", "high"]


@pytest.mark.usefixtures("faked")
def test_an_analysis_shows_itself(conn_log: Path, tmp_path: Path) -> None:
    analysis = infraspectre.analyze(conn_log)
    assert "1 flows" in repr(analysis)
    assert "Scan d1" in repr(analysis)
    assert "<li>" in analysis._repr_html_()
    assert analysis.report(tmp_path / "copy.html").read_bytes() == (analysis.folder / "report.html").read_bytes()


@pytest.mark.usefixtures("faked")
def test_a_temporary_folder_goes_with_the_analysis(conn_log: Path) -> None:
    analysis = infraspectre.analyze(conn_log)
    folder = analysis.folder
    assert folder.exists()
    del analysis
    gc.collect()
    assert not folder.exists()


def test_the_latest_decision_holds_and_the_worst_comes_first() -> None:
    ranked = app.ranked([decision("a", 10), decision("b", 50), decision("a", 90)])
    assert [(one.incident.incident_id, one.threat_score.value) for one in ranked] == [("a", 90), ("b", 50)]


def test_flows_come_in_batches(conn_log: Path) -> None:
    (batch,) = infraspectre.flows(conn_log)
    assert len(batch) == 1
    assert batch.frame["resp_port"].to_list() == [80]


def test_a_folder_that_cannot_be_made_is_named(conn_log: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"conn\.log.*cannot be made"):
        infraspectre.analyze(conn_log, out=conn_log / "out")


def test_what_is_known_about_hosts_reaches_the_incidents(tmp_path: Path) -> None:
    log, assets = tmp_path / "conn.log", tmp_path / "assets.csv"
    names = ["ts", "uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto", "conn_state", "orig_bytes"]
    kinds = ["time", "string", "addr", "port", "addr", "port", "enum", "string", "count"]
    head = ["#separator \\x09", "\t".join(["#fields", *names]), "\t".join(["#types", *kinds])]
    probes = [f"17000000{n:02}.5\tC{n}\t10.0.0.1\t4{n:04}\t10.0.0.2\t{n}\ttcp\tS0\t0" for n in range(90)]
    log.write_text("\n".join([*head, *probes, ""]))
    assets.write_text("network,name,criticality\n10.0.0.2,vault,critical\n")
    plain, known = infraspectre.analyze(log), infraspectre.analyze(log, assets=assets)
    assert known.incidents[0].incident.assets["10.0.0.2"].name == "vault"
    assert known.incidents[0].threat_score.value > plain.incidents[0].threat_score.value


def test_a_wrong_asset_list_is_named_before_anything_is_written(conn_log: Path, tmp_path: Path) -> None:
    assets = tmp_path / "assets.csv"
    assets.write_text("network\nnowhere\n")
    with pytest.raises(InputError, match=r"assets\.csv"):
        infraspectre.analyze(conn_log, out=tmp_path / "out", assets=assets)
    assert not (tmp_path / "out").exists()


def test_sigma_rules_are_evaluated_afresh_in_each_analysis(conn_log: Path, tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(DISCARD.replace("9", "80"))
    sigma = infraspectre.load_sigma([tmp_path])
    assert repr(sigma) == "SigmaRules: 1 see flows, 0 do not, 0 refused"
    for _ in range(2):
        assert [one.detector for one in infraspectre.analyze(conn_log, sigma=sigma).detections] == ["sigma"]


def test_sigma_rules_of_which_none_can_be_used_are_an_error(conn_log: Path, tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(BROKEN)
    with pytest.raises(InputError, match="no Sigma rule can be used"):
        infraspectre.analyze(conn_log, sigma=infraspectre.load_sigma([tmp_path]))


@pytest.mark.parametrize(
    ("setting", "value"), [("udp_idle_s", "-5"), ("max_flows", "0"), ("max_flows", "99999999999999999999")]
)
def test_an_impossible_bound_is_named_by_file_and_line(tmp_path: Path, setting: str, value: str) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(f"[flows]\n{setting} = {value}\n")
    with pytest.raises(ConfigError, match=rf"settings\.toml:2: flows\.{setting}: Expected"):
        load_settings(path)
