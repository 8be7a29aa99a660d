from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from litestar.testing import TestClient

from api_platform import of
from infraspectre.api.frame import Api
from infraspectre.api.routes.exports import cell
from infraspectre.cli import run
from infraspectre.modelbook import register
from infraspectre.modelbook.opening import BUILTIN_FOLDER
from infraspectre.records.collections import INCIDENTS
from infraspectre.serving.platform import Platform

Incidents = list[dict[str, Any]]


def test_flows_are_found_by_time_and_address(asking: TestClient[Api], stored: Platform, incidents: Incidents) -> None:
    host = incidents[0]["orig"][0]
    asked: dict[str, Any] = {
        "filter": [f"orig_ip={host}", "started_at>=2026-01-01T00:00:00Z"],
        "order": "-orig_bytes",
        "limit": 5,
    }
    items = asking.get("/api/v1/flows", params=asked, headers=of(stored, "viewer")).json()["items"]
    assert len(items) == 5
    assert {each["orig_ip"] for each in items} == {host}
    assert [each["orig_bytes"] for each in items] == sorted((each["orig_bytes"] for each in items), reverse=True)
    assert items[0]["started_at"].startswith("2026-")
    whole = asking.get(f"/api/v1/flows/{items[0]['flow_id']}", headers=of(stored)).json()
    assert whole.items() >= {name: value for name, value in items[0].items() if value is not None}.items()
    assert len(whole) > 30


def test_flows_of_another_tenant_are_not_there(asking: TestClient[Api], stored: Platform, incidents: Incidents) -> None:
    stranger = of(stored, "administrator", "other")
    known = asking.get("/api/v1/flows", params={"limit": 1}, headers=of(stored)).json()["items"][0]["flow_id"]
    assert asking.get("/api/v1/flows", headers=stranger).json()["items"] == []
    assert asking.get(f"/api/v1/flows/{known}", headers=stranger).status_code == 404
    assert asking.get("/api/v1/detections", headers=stranger).json()["items"] == []


def test_detections_are_told_as_files_tell_them(
    asking: TestClient[Api], stored: Platform, incidents: Incidents
) -> None:
    reference = incidents[0]["detections"][0]
    told = asking.get(f"/api/v1/detections/{reference['detection_id']}", headers=of(stored)).json()
    assert told["detector"] == reference["detector"]
    assert told["evidence"]["summary"]
    assert set(told["techniques"][0]) == {"id", "name"}
    chosen = {"fields": "category,score", "filter": f"category={reference['category']}"}
    items = asking.get("/api/v1/detections", params=chosen, headers=of(stored)).json()["items"]
    assert items[0] == {"category": reference["category"], "score": pytest.approx(items[0]["score"])}


def test_an_export_holds_all_that_a_list_does(asking: TestClient[Api], stored: Platform, incidents: Incidents) -> None:
    answer = asking.get("/api/v1/export", params={"format": "csv", "order": "-value"}, headers=of(stored))
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [each["incident_id"] for each in rows] == [
        each["incident_id"] for each in sorted(incidents, key=lambda each: -each["threat_score"]["value"])
    ]
    assert "attachment" in answer.headers["content-disposition"]
    lines = asking.get("/api/v1/export", params={"format": "json"}, headers=of(stored)).content.splitlines()
    assert {msgspec.json.decode(line)["incident_id"] for line in lines} == {each["incident_id"] for each in rows}


@pytest.mark.parametrize("text", ["=1+1", "+x", "-2", "@sum", "\tx"])
def test_a_cell_is_never_a_formula(text: str) -> None:
    assert cell(text) == f"'{text}"
    assert cell([text]) == f"'{text}"
    assert cell(-2.5) == "-2.5"


def test_reports_are_pages_and_pdf(asking: TestClient[Api], stored: Platform, incidents: Incidents) -> None:
    path = f"/api/v1/incidents/{incidents[0]['incident_id']}/report"
    page = asking.get(path, headers=of(stored))
    assert incidents[0]["title"] in page.text
    pytest.importorskip("typst")
    assert asking.get(path, params={"format": "pdf"}, headers=of(stored)).content.startswith(b"%PDF-")
    assert asking.get("/api/v1/export", params={"format": "pdf"}, headers=of(stored)).content.startswith(b"%PDF-")


def test_an_incident_whose_evidence_was_not_kept_is_reported_without_it(
    asking: TestClient[Api], stored: Platform, incidents: Incidents
) -> None:
    """As versions did that kept detections in their table alone."""
    record = msgspec.json.decode(stored.records.get("default", INCIDENTS, incidents[0]["incident_id"]).body)  # type: ignore[union-attr]
    del record["detections"]
    stored.records.put("default", INCIDENTS, "old", record)
    page = asking.get("/api/v1/incidents/old/report", headers=of(stored))
    assert incidents[0]["title"] in page.text
    assert "was not kept with it" in page.text
    scores = asking.post("/api/v1/custom-scoring", json={"incident_ids": ["old"]}, headers=of(stored)).json()
    assert scores == {"scores": [], "missing": ["old"]}
    stored.records.delete("default", INCIDENTS, "old")


def test_a_prediction_is_made_and_explained(asking: TestClient[Api], stored: Platform) -> None:
    row = {name: 1 if kind == "number" else "x" for name, kind in columns_of(asking, stored).items()}
    one = asking.post("/api/v1/predict", json={"row": row}, headers=of(stored)).json()
    many = asking.post("/api/v1/predict/batch", json={"rows": [row, row]}, headers=of(stored)).json()
    assert many["predictions"] == one["predictions"] * 2
    body = {"rows": [row], "explanation_type": "feature"}
    told = asking.post("/api/v1/explain-prediction", json=body, headers=of(stored)).json()["explanations"][0]
    assert told["attributions"]
    assert told["examples"] == []


def columns_of(asking: TestClient[Api], stored: Platform) -> dict[str, str]:
    columns: dict[str, str] = stored.scoring.model("builtin:flow").manifest.columns  # type: ignore[assignment]
    return columns


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"row": {"x": 1}}, (422, "columns are missing")),
        ({"row": {}, "model": "../models/flow"}, (422, "no model is named")),
        ({"row": {}, "model": "builtin:none"}, (422, "no built-in model")),
        ({"rows": []}, (400, "values it cannot have")),
    ],
)
def test_what_cannot_be_predicted_is_told(
    asking: TestClient[Api], stored: Platform, body: dict[str, Any], said: tuple[int, str]
) -> None:
    answer = asking.post("/api/v1/predict", json=body, headers=of(stored))
    assert answer.status_code == said[0]
    assert said[1] in answer.text


def test_models_say_what_counts_in_them(asking: TestClient[Api], stored: Platform) -> None:
    names = [each["name"] for each in asking.get("/api/v1/models", headers=of(stored)).json()]
    assert "builtin:flow" in names
    assert asking.get("/api/v1/models/builtin:flow", headers=of(stored)).json()["classes"][0] == "benign"
    counted = asking.get("/api/v1/models/builtin:flow/feature-importance", headers=of(stored)).json()["columns"]
    assert sum(each["share"] for each in counted) == pytest.approx(1.0)
    assert asking.get("/api/v1/models/builtin:none", headers=of(stored)).status_code == 404
    assert asking.get("/api/v1/models/.%2Fmodels/drift", headers=of(stored)).status_code == 404


def test_detection_in_flows_finds_what_analyze_finds(
    asking: TestClient[Api], stored: Platform, incidents: Incidents, analyzed: Any
) -> None:
    flows = pl.read_parquet(analyzed / "flows.parquet").to_dicts()
    told = [{name: value for name, value in flow.items() if value is not None} for flow in flows]
    found = asking.post("/api/v1/detect", content=msgspec.json.encode({"flows": told}), headers=sending(stored)).json()
    assert {each["title"] for each in found["incidents"]} == {each["title"] for each in incidents}


def sending(stored: Platform) -> dict[str, str]:
    return of(stored) | {"content-type": "application/json"}


def test_faults_in_flows_are_named(asking: TestClient[Api], stored: Platform) -> None:
    sound = {
        "orig_ip": "10.0.0.1", "resp_ip": "10.0.0.2", "resp_port": 80, "protocol": "tcp",
        "started_at": "2026-01-01T00:00:00Z", "ended_at": "2026-01-01T00:00:01Z",
    }  # fmt: skip
    for change, said in (
        ({"resp_port": 70_000}, "resp_port: cannot hold the value of row 1"),
        ({"resp_port": None}, "resp_port: is missing in row 1"),
        ({"started_at": "now"}, "started_at: is no time in row 1"),
        ({"nothing": 1}, "nothing: there is no such column"),
    ):
        answer = asking.post("/api/v1/detect", json={"flows": [sound, sound | change]}, headers=of(stored))
        assert said in answer.json()["detail"], change
    assert asking.post("/api/v1/detect", json={"flows": [sound]}, headers=of(stored)).json()["incidents"] == []


def test_values_are_enriched_by_what_is_known(asking: TestClient[Api], stored: Platform, incidents: Incidents) -> None:
    host = incidents[0]["orig"][0]
    answer = asking.post(
        "/api/v1/enrich", json={"values": [host, "T1046", "nothing at all"]}, headers=of(stored)
    ).json()
    known, technique, unknown = answer["values"]
    assert incidents[0]["incident_id"] in known["incidents"]
    assert technique["technique"] == "Network Service Discovery"
    assert (unknown["indicators"], unknown["incidents"], unknown["asset"]) == ([], [], None)


def test_incidents_are_scored_with_other_weights(
    asking: TestClient[Api], stored: Platform, incidents: Incidents
) -> None:
    names = [each["incident_id"] for each in incidents]
    as_usual = asking.post("/api/v1/custom-scoring", json={"incident_ids": [*names, "none"]}, headers=of(stored)).json()
    assert as_usual["missing"] == ["none"]
    assert [each["custom"]["value"] for each in as_usual["scores"]] == [
        each["threat_score"]["value"] for each in incidents
    ]
    body = {"incident_ids": names, "weights": {"correlation": 0}, "thresholds": {"low": 1, "medium": 2}}
    otherwise = asking.post("/api/v1/custom-scoring", json=body, headers=of(stored)).json()["scores"]
    assert all(each["custom"]["value"] <= each["now"]["value"] for each in otherwise)
    assert any(each["custom"]["value"] < each["now"]["value"] for each in otherwise)
    disorderly = {"incident_ids": names, "thresholds": {"low": 90}}
    assert asking.post("/api/v1/custom-scoring", json=disorderly, headers=of(stored)).status_code == 422


def test_long_work_is_a_job(asking: TestClient[Api], stored: Platform) -> None:
    engineer = of(stored, "engineer")
    ordered = asking.post("/api/v1/retraining", json={"name": "site-flows"}, headers=engineer)
    assert ordered.status_code == 202
    job = asking.get(ordered.headers["location"], headers=of(stored, "viewer")).json()
    assert (job["state"], job["kind"]) == ("waiting", "retraining")
    assert asking.get(ordered.headers["location"], headers=of(stored, "viewer", "other")).status_code == 404
    assert asking.delete(ordered.headers["location"], headers=of(stored, "analyst")).status_code == 403
    assert asking.delete(ordered.headers["location"], headers=engineer).json()["state"] == "cancelled"
    assert [each["job_id"] for each in asking.get("/api/v1/jobs", headers=engineer).json()["items"]] == [job["job_id"]]


def test_trends_count_what_lists_hold(asking: TestClient[Api], stored: Platform, incidents: Incidents) -> None:
    listed = asking.get("/api/v1/detections", params={"limit": 1000}, headers=of(stored)).json()["items"]
    found = asking.post("/api/v1/trend-analysis", json={"granularity": "hour"}, headers=of(stored)).json()
    assert sum(each["total"] for each in found["trends"]) == len(listed)
    one = {"granularity": "hour", "categories": [listed[0]["category"]]}
    (trend,) = asking.post("/api/v1/trend-analysis", json=one, headers=of(stored)).json()["trends"]
    assert trend["total"] == sum(each["category"] == listed[0]["category"] for each in listed)
    assert len(trend["counts"]) == found["buckets"]


def test_a_day_is_too_little_to_forecast_from(asking: TestClient[Api], stored: Platform, incidents: Incidents) -> None:
    answer = asking.post("/api/v1/predictive-modeling", json={"granularity": "hour"}, headers=of(stored))
    assert answer.status_code == 422
    assert "too few" in answer.json()["detail"]


def test_what_repeats_is_forecast(asking: TestClient[Api], stored: Platform, analyzed: Any) -> None:
    flows = pl.read_parquet(analyzed / "flows.parquet").head(60)
    now, hour = stored.clock.now(), 3_600 * 10**9
    for number in range(24 * 14):
        amount = 10 + 40 * (8 <= number % 24 < 18)
        begin = (now // hour - number - 1) * hour
        rows = flows.head(amount).with_columns(
            started_at=pl.lit(begin, pl.Int64), ended_at=pl.lit(begin + 10**9, pl.Int64),
            flow_id=pl.int_range(pl.len(), dtype=pl.UInt64) + number * 100,
        )  # fmt: skip
        stored.tables.append("default", "flows", rows, str(number))
    asked = {"metrics": ["flows"], "granularity": "hour", "periods": 24}
    (found,) = asking.post("/api/v1/predictive-modeling", json=asked, headers=of(stored)).json()["forecasts"]
    values = [each["value"] for each in found["forecast"]["points"]]
    assert min(values) == pytest.approx(10, abs=1)
    assert max(values) == pytest.approx(50, abs=1)
    assert all(each["low"] <= each["value"] <= each["high"] for each in found["forecast"]["points"])


def test_the_dashboard_sums_up_the_day(asking: TestClient[Api], stored: Platform, incidents: Incidents) -> None:
    figures = asking.get("/api/v1/dashboard-metrics", params={"hours": 48}, headers=of(stored, "viewer")).json()
    assert figures["incidents"] == len(incidents)
    assert figures["statuses"]["new"] == len(incidents)
    assert figures["top_threats"][0]["value"] == max(each["threat_score"]["value"] for each in incidents)
    assert figures["flows"] == sum(hour["flows"] for hour in figures["activity"]) > 0
    assert figures["detections"] == sum(sum(hour["detections"].values()) for hour in figures["activity"]) > 0
    nobody = asking.get("/api/v1/dashboard-metrics", params={"hours": 48}, headers=of(stored, "viewer", "other")).json()
    assert (nobody["incidents"], nobody["flows"], nobody["detections"]) == (0, 0, 0)


def test_a_tenant_sees_and_moves_no_model_of_another(
    asking: TestClient[Api], stored: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    for name, folder in (("site", "dga"), ("red..site", "dns-tunnel")):
        register(BUILTIN_FOLDER / folder, name, "production", "2026-01-01T00:00:00Z")
    first, red, blue = (of(stored, "engineer", tenant) for tenant in ("default", "red", "blue"))
    kinds = [asking.get("/api/v1/models/registry:site", headers=each).json().get("kind") for each in (first, red, blue)]
    assert kinds == ["dga", "dns-tunnel", None]
    for headers, status in ((first, 200), (red, 200), (blue, 404)):
        assert asking.get("/api/v1/models/site/versions", headers=headers).status_code == status
    (version,) = asking.get("/api/v1/models/site/versions", headers=red).json()
    assert asking.get("/api/v1/registry", headers=red).json() == [{"name": "site", "versions": [version]}]
    assert version["name"] == "site"
    archived = {"version": 1, "stage": "archived"}
    assert asking.post("/api/v1/models/site/stage", json=archived, headers=blue).status_code == 404
    for headers in (first, blue):  # nor by the name that the registry has for it
        assert asking.post("/api/v1/models/red..site/stage", json=archived, headers=headers).status_code == 404
        assert asking.get("/api/v1/models/registry:red..site", headers=headers).status_code == 404
        asked = {"model": "registry:red..site", "row": {"qname": "a.example"}}
        assert asking.post("/api/v1/predict", json=asked, headers=headers).status_code == 422
        assert asking.post("/api/v1/explain-prediction", json={"model": "registry:red..site", "rows": [{}]},
                           headers=headers).status_code == 422  # fmt: skip
    assert asking.post("/api/v1/models/site/stage", json=archived, headers=red).json()["name"] == "site"
    (version,) = asking.get("/api/v1/models/site/versions", headers=first).json()
    assert version["moves"][-1]["stage"] == "production"


def test_a_model_has_the_card_of_its_own_tenant_alone(
    asking: TestClient[Api], stored: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    for name in ("site", "red..site"):  # the same model, so that both stand in one folder
        register(BUILTIN_FOLDER / "dga", name, "production", "2026-01-01T00:00:00Z")
    rows = tmp_path / "names.csv"
    benign = ["example.com", "wikipedia.org", "mail.example.net", "news.example.org"]
    rows.write_text("domain,label\n" + "".join(f"{name},benign\n" for name in benign) + "xkqzvwpjhtrbgm.info,dga\n")
    asked = ["evaluate", "--model", "registry:red..site", "--data", str(rows), "--label", "label"]
    assert run([*asked, "--out", str(tmp_path / "card"), "--quiet"]) == 0
    register(BUILTIN_FOLDER / "dga", "site", "production", "2026-01-02T00:00:00Z")
    red = asking.get("/api/v1/models/registry:site", headers=of(stored, "viewer", "red")).json()["card"]
    assert sum(sum(row.values()) for row in red["confusion"].values()) == red["rows"] == 5
    assert set(red["confusion"]) == {"benign", "dga"}
    assert sum(each["rows"] for each in red["calibration"]["bins"]) == 5
    assert asking.get("/api/v1/models/registry:site", headers=of(stored, "viewer")).json()["card"] is None


def test_drift_is_told_of_models_of_vectors_too(
    asking: TestClient[Api], stored: Platform, incidents: Incidents
) -> None:
    asked = {"params": {"hours": 48}, "headers": of(stored, "viewer")}
    found = asking.get("/api/v1/models/builtin:flow/drift", **asked).json()  # type: ignore[arg-type]
    assert found.get("flows", 0) > 100, found
    assert {each["column"] for each in found["columns"]} >= {"orig_host_flows_60s"}


@pytest.mark.parametrize("path", ["behaviour", "network", "trend-analysis"])
@pytest.mark.parametrize(
    "span",
    [
        {"start": "0001-01-01T00:00:00Z", "end": "0001-01-02T00:00:00Z"},
        {"start": "9999-12-30T00:00:00Z", "end": "9999-12-31T00:00:00Z"},
        {"start": "0001-01-01T00:00:00+14:00"},
        {"end": "9999-12-31T23:59:59-14:00"},
        {"start": "2026-01-02T00:00:00Z", "end": "2026-01-01T00:00:00Z"},
    ],
    ids=str,
)
def test_a_span_that_no_store_holds_is_refused(
    asking: TestClient[Api], stored: Platform, path: str, span: dict[str, str]
) -> None:
    asked = span | ({"entity": "10.0.0.1"} if path == "behaviour" else {})
    assert asking.post(f"/api/v1/{path}", json=asked, headers=of(stored, "viewer")).status_code in (400, 422)
