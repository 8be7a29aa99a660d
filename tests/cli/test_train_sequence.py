"""Models of packet sequences, as people meet them: trained, judged by, and refused where something is missing."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from infraspectre.adapters.checkpoints import States
from infraspectre.cli import run
from infraspectre.ml.detector import State


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


@pytest.mark.parametrize(
    "option",
    ["--search 2", "--search-time 9", "--detector damped", "--device cuda", "--device auto", "--drop packet_flags"],
)
def test_options_of_other_kinds_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str) -> None:
    assert run([*arguments(table(tmp_path / "t.csv"), tmp_path / "m"), *option.split()]) == 2
    told = capsys.readouterr().err
    assert "a model of packet sequences does not take" in told
    assert option.split()[0] in told


@pytest.fixture
def deep() -> None:
    """Skip where the extra deep is not installed."""
    for extra in ("jax", "equinox", "optax", "jax2onnx", "onnxruntime"):
        pytest.importorskip(extra, reason="the extra deep is not installed")


@pytest.fixture
def tiny(deep: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let transformers be small and learn for a few epochs."""
    from infraspectre.ml import sequence_training

    profile = sequence_training.Profile(width=16, layers=1, heads=2, epochs=4, rows=64)
    monkeypatch.setitem(sequence_training.PROFILES, "sequence", profile)


def contents(model: Path) -> dict[str, bytes]:
    """Return what a model has learnt, as it is on the disk."""
    return {str(file.relative_to(model)): file.read_bytes() for file in sorted(model.rglob("*.npy"))}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.usefixtures("tiny")
def test_an_interrupted_training_goes_on_to_the_same_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, model, whole = table(tmp_path / "t.csv"), tmp_path / "m", tmp_path / "whole"
    assert run([*arguments(data, whole), "--no-trial"]) == 0
    keep, find, kept, found = States.keep, States.find, list[str](), list[State | None]()

    def interrupted(self: States, name: str, state: State) -> None:
        keep(self, name, state)
        kept.append(name)
        if len(kept) == 2:
            raise KeyboardInterrupt

    def watched(self: States, name: str) -> State | None:
        found.append(find(self, name))
        return found[-1]

    monkeypatch.setattr(States, "keep", interrupted)
    monkeypatch.setattr(States, "find", watched)
    assert run([*arguments(data, model), "--no-trial"]) == 130
    assert not (model / "manifest.json").exists()
    assert run([*arguments(data, model), "--no-trial"]) == 0
    assert found[0] is None
    assert found[1] is not None
    assert len(found[1].values["losses"]) == 2
    assert contents(model) == contents(whole) != {}
    assert not (tmp_path / ".m.partial").exists()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.usefixtures("tiny")
def test_trials_split_by_times_that_are_numbers(tmp_path: Path) -> None:
    data, model = table(tmp_path / "t.csv"), tmp_path / "m"
    assert run([*arguments(data, model), "--time", "unused"]) == 0
    assert json.loads((model / "manifest.json").read_text())["metrics"]["rows"] == 80


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.usefixtures("deep")
def test_a_model_is_trained_judged_by_and_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, model = table(tmp_path / "t.csv"), tmp_path / "m"
    assert run([*arguments(data, model), "--no-trial"]) == 0
    assert not (tmp_path / ".m.partial").exists()
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
