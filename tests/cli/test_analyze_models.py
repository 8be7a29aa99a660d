"""`infraspectre analyze --model`: models find what they know, and are refused before anything is read."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from infraspectre.cli import run
from model_fakes import rows

SAMPLE = Path(__file__).parents[2] / "examples" / "sample.pcap.gz"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models: one of flows that tells unanswered ones, one of a table that has nothing to do with flows."""
    place = tmp_path_factory.mktemp("models")
    flows = place / "flows.parquet"
    assert run(["flows", str(SAMPLE), "--out", str(flows), "--quiet"]) == 0
    labelled = pl.read_parquet(flows).select(
        "orig_packets", "resp_packets", "protocol", "duration_ms", "orig_payload_bytes", "tcp_state"
    )
    is_silent = pl.col("tcp_state").is_in(["S0", "REJ"]).fill_null(value=False)
    labelled.select(
        pl.exclude("tcp_state"), kind=pl.when(is_silent).then(pl.lit("scan")).otherwise(pl.lit("benign"))
    ).write_parquet(place / "table.parquet")
    rows(400).write_csv(place / "strange.csv")
    for data, name in (("table.parquet", "silent"), ("strange.csv", "strange")):
        arguments = [
            "--data",
            str(place / data),
            "--label",
            "kind",
            "--out",
            str(place / name),
            "--no-trial",
            "--quiet",
        ]
        assert run(["train", *arguments]) == 0
    return place


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_what_a_model_calls_hostile_joins_incidents(folder: Path, tmp_path: Path) -> None:
    models = ["--model", str(folder / "silent"), "--model", "builtin:dga"]
    assert run(["analyze", str(SAMPLE), *models, "--out", str(tmp_path), "--quiet"]) == 0
    found = [each for each in lines(tmp_path / "detections.jsonl") if each["detector"] == "silent"]
    assert found
    assert {each["category"] for each in found} == {"port_scan"}
    joined = [each["detector"] for one in lines(tmp_path / "incidents.jsonl") for each in one["detections"]]  # type: ignore[attr-defined]
    assert "silent" in joined


def test_models_that_cannot_judge_flows_are_refused_first(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for model, problem in (
        (str(folder / "strange"), "columns that flows do not have: x, y"),
        ("builtin:none", "no built-in model is named 'none'"),
        (str(tmp_path), "is no model"),
    ):
        out = tmp_path / "never"
        assert run(["analyze", str(SAMPLE), "--model", model, "--out", str(out)]) == 2
        assert problem in capsys.readouterr().err
        assert not out.exists()
