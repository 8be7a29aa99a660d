"""Labelled captures become tables: labels join flows, what names one network is left out, captures stay together."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from infraspectre.cli import run
from infraspectre.errors import InputError
from infraspectre.learning.labelled_captures import (
    GROUPS,
    OF_ONE_NETWORK,
    group_column,
    holds_captures,
    labelled_flows,
)
from infraspectre.simulation import simulate


@pytest.fixture(scope="module")
def simulations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulations")
    simulate("web-attack", folder / "web", 1)
    simulate("brute-force", folder / "inner" / "guess", 1)
    return folder


def test_each_flow_of_a_simulation_gets_its_label(simulations: Path) -> None:
    frame = labelled_flows(simulations, "category")
    told = pl.concat([pl.read_csv(path) for path in simulations.rglob("flows.csv")])
    attacks = frame.filter(pl.col("category") != "benign")
    assert len(frame) == len(told)
    assert len(attacks) == (told["label"] == "attack").sum()
    assert dict(attacks.group_by("capture").agg(pl.col("category").unique().first()).iter_rows()) == {
        "web": "web-attack",
        "inner/guess": "brute-force",
    }


def test_what_names_one_network_is_not_learnt_from(simulations: Path) -> None:
    frame = labelled_flows(simulations, "label")
    assert not OF_ONE_NETWORK & set(frame.columns)
    assert {"label", "orig_packets", "orig_host_flows_60s", *GROUPS} <= set(frame.columns)
    assert group_column(frame) == "capture"


def test_a_catalogue_labels_whole_captures(simulations: Path, tmp_path: Path) -> None:
    shutil.copy(simulations / "web" / "capture.pcap", tmp_path / "a.pcap")
    lines = [{"path": "a.pcap", "label": "malicious", "source": "s"}, {"path": "b.pcap", "label": "unknown"}]
    (tmp_path / "labels.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    frame = labelled_flows(tmp_path, "label")
    assert frame.select("label", *GROUPS).unique().rows() == [("malicious", "a.pcap", "s")]


@pytest.mark.parametrize(
    ("line", "problem"),
    [("{", "line 1 names no capture"), ('{"path": "../a", "label": "x"}', "leads out of the folder")],
)
def test_a_catalogue_at_fault_is_named_by_line(tmp_path: Path, line: str, problem: str) -> None:
    (tmp_path / "labels.jsonl").write_text(line + "\n")
    with pytest.raises(InputError, match=problem):
        labelled_flows(tmp_path, "label")


def test_a_folder_of_tables_holds_no_captures(tmp_path: Path) -> None:
    (tmp_path / "flows.csv").write_text("x\n")
    assert not holds_captures(tmp_path)


def test_a_model_is_trained_on_captures_and_judges_another(simulations: Path, tmp_path: Path) -> None:
    arguments = ["--data", str(simulations), "--label", "category"]
    assert run(["train", *arguments, "--out", str(tmp_path / "m"), "--no-trial", "--quiet"]) == 0
    manifest = json.loads((tmp_path / "m" / "manifest.json").read_text())
    assert manifest["classes"] == ["benign", "brute-force", "web-attack"]
    assert not set(GROUPS) & set(manifest["columns"])
    assert {each["name"] for each in manifest["data"]} == {"web/flows.csv", "inner/guess/flows.csv"}
    simulate("brute-force", tmp_path / "later", 2)
    capture = str(tmp_path / "later" / "capture.pcap")
    judged = tmp_path / "judged.csv"
    assert run(["predict", "--model", str(tmp_path / "m"), "--data", capture, "--out", str(judged), "--quiet"]) == 0
    assert len(judged.read_text().splitlines()) == 1 + len(pl.read_csv(tmp_path / "later" / "flows.csv"))
    assert run(["analyze", capture, "--model", str(tmp_path / "m"), "--out", str(tmp_path / "o"), "--quiet"]) == 0
    found = [json.loads(line) for line in (tmp_path / "o" / "detections.jsonl").read_text().splitlines()]
    assert "brute_force" in {each["category"] for each in found if each["detector"] == "m"}
