"""Models of packet sequences, as people meet them: trained, judged by, and refused where something is missing."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from infraspectre.cli import run


def table(path: Path, rows: int = 400) -> Path:
    """Write rows in which hostile ones send ever more."""
    random = np.random.default_rng(1)
    kinds = random.choice(["benign", "attack"], rows, p=[0.7, 0.3])
    first = np.where(kinds == "attack", 900, 60) + random.integers(0, 50, rows)
    pl.DataFrame(
        {
            "packet_sizes": [f"{size} -40 {size}" for size in first],
            "packet_gaps_us": [f"0 {gap} 9" for gap in random.integers(1, 10**6, rows)],
            "packet_flags": ["2 18 16"] * rows,
            "unused": list(range(rows)),
            "kind": kinds,
        }
    ).write_csv(path)
    return path


def arguments(data: Path, out: Path) -> list[str]:
    return ["train", "--kind", "sequence", "--data", str(data), "--label", "kind", "--out", str(out), "--quiet"]


def test_without_jax_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "infraspectre.ml.sequence_training", raising=False)
    monkeypatch.delattr("infraspectre.ml.sequence_training", raising=False)
    monkeypatch.setitem(sys.modules, "equinox", None)
    assert run(arguments(table(tmp_path / "t.csv"), tmp_path / "m")) == 2
    assert "install what is missing with: pip install 'infraspectre[deep]'" in capsys.readouterr().err
    assert not (tmp_path / "m").exists()


def test_an_anomaly_task_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*arguments(table(tmp_path / "t.csv"), tmp_path / "m"), "--task", "anomaly"]) == 2
    assert "needs labels; use --kind council for --task anomaly" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_model_is_trained_judged_by_and_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for extra in ("jax", "equinox", "optax", "jax2onnx", "onnxruntime"):
        pytest.importorskip(extra, reason="the extra deep is not installed")
    data, model = table(tmp_path / "t.csv"), tmp_path / "m"
    assert run([*arguments(data, model), "--no-trial"]) == 0
    assert not (tmp_path / "m.unfinished").exists()
    manifest = json.loads((model / "manifest.json").read_text())
    assert manifest["kind"] == "sequence"
    assert manifest["columns"] == dict.fromkeys(["packet_sizes", "packet_gaps_us", "packet_flags"], "list")
    judged = ["--model", str(model), "--data", str(data), "--quiet", "--out"]
    assert run(["predict", *judged, str(tmp_path / "p.csv")]) == 0
    labels = pl.read_csv(tmp_path / "p.csv")["label"].to_numpy()
    assert np.mean(labels == pl.read_csv(data)["kind"].to_numpy()) > 0.97
    assert run(["evaluate", *judged, str(tmp_path / "card"), "--label", "kind"]) == 0
    card = json.loads((tmp_path / "card" / "report.json").read_text())
    assert card["ranking"]["area_under_curve"] > 0.99
    assert any(each["name"].startswith("one feature: packet_") for each in card["baselines"])
    pl.read_csv(data).drop("packet_flags").write_csv(tmp_path / "few.csv")
    assert run(["predict", "--model", str(model), "--data", str(tmp_path / "few.csv"), "--out", "never.csv"]) == 2
    assert "few.csv: column is missing: packet_flags" in capsys.readouterr().err
