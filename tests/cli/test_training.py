"""`train` and `models` for those who measure, search, interrupt and register."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from infraspectre import modelbook
from infraspectre.adapters.models import load_model
from infraspectre.cli import run
from infraspectre.cli.options import SearchOptions, SplitOptions
from infraspectre.cli.train import planned
from infraspectre.errors import UsageError
from infraspectre.ml.boosting import has_gpu
from infraspectre.modelbook.evaluating import council_settings
from infraspectre.modelbook.training import chosen_device
from model_fakes import rows


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table of eight captures on as many days."""
    folder = tmp_path_factory.mktemp("desk")
    frame = rows(1_200).with_columns(
        capture=pl.int_range(pl.len()) // 150, seen=1_700_000_000.5 + pl.int_range(pl.len()) * 60
    )
    frame.write_csv(folder / "train.csv")
    return folder


def train(desk: Path, out: str, *more: str) -> int:
    data = ["--data", str(desk / "train.csv"), "--label", "kind", "--out", str(desk / out)]
    return run(["train", *data, "--quiet", *more])


def test_folds_by_group_and_time_are_told_and_their_columns_not_learnt(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(desk, "folds", "--group", "capture", "--time", "seen", "--folds", "2", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told == json.loads((desk / "folds" / "manifest.json").read_text())
    assert set(told["columns"]) == {"x", "y"}
    assert len(told["folds"]) == 2
    for figures in (*told["folds"], told["metrics"]):
        assert 0.5 < figures["area_under_curve"] < 1
        assert figures["rows"] > 0
    assert not any("capture" in warning or "seen" in warning for warning in told["warnings"])


def test_what_cannot_be_planned_is_refused(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(desk, "none", "--group", "site") == 2
    assert "train.csv: site: there is no such column to split by" in capsys.readouterr().err
    assert train(desk, "none", "--folds", "1") == 2
    assert "1 folds are too few" in capsys.readouterr().err
    assert train(desk, "none", "--task", "anomaly", "--search", "3") == 2
    assert "no settings are searched for the task anomaly" in capsys.readouterr().err
    for options in (SearchOptions(search=0), SearchOptions(search_time=float("nan")), SearchOptions(search_time=-1.0)):
        with pytest.raises(UsageError, match="is not positive"):
            planned(SplitOptions(), options, 0)
    assert not (desk / "none").exists()


def test_a_search_without_optuna_says_what_to_install(
    desk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert train(desk, "none", "--search", "3") == 2
    assert "pip install 'infraspectre[tune]'" in capsys.readouterr().err
    assert not (desk / "none").exists()


def test_a_search_is_told_and_decides_how_the_model_learns(
    desk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("optuna")
    monkeypatch.setattr("infraspectre.learning.search.MOST_ROWS", 400)
    options = ["--search", "2", "--folds", "2", "--objective", "macro-f1", "--drop", "capture", "--no-trial"]
    assert train(desk, "searched", *options, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["metrics"] == {}
    assert len(told["folds"]) == 2
    assert council_settings(modelbook.described(str(desk / "searched"))).triage.rounds > 0


@pytest.mark.skipif(has_gpu(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused_when_asked_for(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(desk, "none", "--device", "cuda") == 2
    assert "trees cannot be grown on a GPU here" in capsys.readouterr().err
    assert chosen_device("auto") == "cpu"


def test_a_killed_training_leaves_no_model_and_goes_on(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    options = ["--group", "capture", "--folds", "2"]
    words = ["train", "--data", str(desk / "train.csv"), "--label", "kind", "--out", str(desk / "killed"), *options]
    started = subprocess.Popen([sys.executable, "-m", "infraspectre.cli", *words, "--quiet"], env=os.environ.copy())
    figures = desk / ".killed.partial" / "figures.json"
    until = time.monotonic() + 120
    while not figures.exists() and time.monotonic() < until and started.poll() is None:
        time.sleep(0.02)
    started.send_signal(signal.SIGKILL)
    assert started.wait() == -signal.SIGKILL
    assert not (desk / "killed" / "manifest.json").exists()
    before = json.loads(figures.read_text())["figures"]
    assert before

    def marked(figures: dict[str, float]) -> dict[str, float]:
        return {**figures, "rows": -1.0}

    name = next(iter(before))
    kept = json.loads(figures.read_text())
    kept["figures"][name] = marked(before[name])
    figures.write_text(json.dumps(kept))
    assert train(desk, "killed", *options) == 0
    assert train(desk, "whole", *options) == 0
    told, whole = (json.loads((desk / name / "manifest.json").read_text()) for name in ("killed", "whole"))
    assert told["files"] == whole["files"]
    assert told["metrics"] == marked(whole["metrics"])
    assert told["folds"] == whole["folds"]
    assert not figures.parent.exists()


def test_registered_models_are_used_by_stage_and_version(
    desk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    for seed in ("0", "1"):
        assert train(desk, f"m{seed}", "--no-trial", "--seed", seed) == 0
        assert run(["models", "register", str(desk / f"m{seed}"), "--name", "flow", "--quiet"]) == 0
    predict = ["predict", "--data", str(desk / "train.csv"), "--out", str(desk / "p.csv"), "--quiet", "--model"]
    assert run([*predict, "registry:flow"]) == 2
    assert "no version of flow is 'production'" in capsys.readouterr().err
    assert run(["models", "promote", "flow", "--version", "2", "--quiet"]) == 0
    for name, folder in (("flow", "m1"), ("flow@production", "m1"), ("flow@candidate", "m0"), ("flow@1", "m0")):
        assert run([*predict, f"registry:{name}"]) == 0
        assert modelbook.described(f"registry:{name}").content_id == load_model(desk / folder)[0].content_id
    assert run(["models", "history", "flow", "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert second["parent"] == first["content_id"]
    state = next(tmp_path.glob(f"infraspectre/registry/models/{second['content_id']}/state.json"))
    state.write_text(state.read_text().replace("benign", "hostile"))
    assert run([*predict, "registry:flow"]) == 2
    assert "was changed: its digest does not match" in capsys.readouterr().err
    assert run(["models", "promote", "flow", "--version", "2", "--quiet"]) == 2


def test_a_registry_in_mlflow_without_it_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    monkeypatch.setenv("INFRASPECTRE_MODELS__REGISTRY", "mlflow:file:///nowhere")
    assert run(["models", "history", "flow"]) == 2
    assert "pip install 'infraspectre[mlflow]'" in capsys.readouterr().err
