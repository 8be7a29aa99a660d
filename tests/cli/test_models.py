"""`train`, `predict`, `evaluate` and `models` from end to end, on a small table."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from infraspectre.cli import run
from model_fakes import attacks, rows


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table to train on, one to judge, and a model."""
    folder = tmp_path_factory.mktemp("desk")
    rows(1_500).write_csv(folder / "train.csv")
    rows(700, seed=1).write_csv(folder / "later.csv")
    assert (
        run(["train", "--data", str(folder / "train.csv"), "--label", "kind", "--out", str(folder / "m"), "--quiet"])
        == 0
    )
    return folder


def predicted(desk: Path, data: str, out: str) -> list[list[str]]:
    assert (
        run(["predict", "--model", str(desk / "m"), "--data", str(desk / data), "--out", str(desk / out), "--quiet"])
        == 0
    )
    with (desk / out).open(newline="") as file:
        return list(csv.reader(file))


def test_predictions_are_one_line_for_each_row_in_order(desk: Path) -> None:
    header, *lines = predicted(desk, "later.csv", "later.out.csv")
    assert header == ["row", "label", "score", "probability", "low", "high"]
    assert [int(line[0]) for line in lines] == list(range(700))
    assert all(float(low) <= float(told) <= float(high) for *_, told, low, high in lines)
    later = pl.read_csv(desk / "later.csv")
    scores = pl.Series([float(line[2]) for line in lines])
    assert (
        pl.DataFrame({"score": scores, "x": later["x"]}).select(pl.corr("score", "x", method="spearman")).item() > 0.8
    )


def test_a_row_is_judged_alike_alone_and_among_others(desk: Path) -> None:
    pl.read_csv(desk / "later.csv").drop("kind")[5:6].write_parquet(desk / "one.parquet")
    assert predicted(desk, "one.parquet", "one.csv")[1][1:] == predicted(desk, "later.csv", "all.csv")[6][1:]


def explained(desk: Path, *more: str) -> list[dict[str, Any]]:
    out = ["--data", str(desk / "later.csv"), "--out", str(desk / "e.csv"), "--explain", str(desk / "e.jsonl")]
    assert run(["predict", "--model", str(desk / "m"), *out, *more, "--quiet"]) == 0
    return [json.loads(line) for line in (desk / "e.jsonl").read_text().splitlines()]


def test_rows_called_hostile_are_explained(desk: Path) -> None:
    lines = explained(desk)
    with (desk / "e.csv").open(newline="") as file:
        hostile = [row for row in csv.DictReader(file) if row["label"] != "benign"]
    assert [(line["row"], line["label"], line["score"]) for line in lines] == [
        (int(row["row"]), row["label"], float(row["score"])) for row in hostile
    ]
    for line in lines:
        total = line["base"] + sum(each["contribution"] for each in line["attributions"])
        assert total == pytest.approx(line["margin"], abs=1e-5)
        assert [each["column"] for each in line["counterfactual"]][:1] == ["x"]
        assert line["examples"]
        assert "It would be benign if" in line["words"]


def test_the_rows_of_highest_score_are_explained(desk: Path) -> None:
    lines = explained(desk, "--explain-top", "5")
    with (desk / "e.csv").open(newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: (-float(row["score"]), int(row["row"])))
    assert [line["row"] for line in lines] == [int(row["row"]) for row in rows[:5]]


def test_explaining_needs_a_file(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["--data", str(desk / "later.csv"), "--out", str(desk / "never.csv")]
    assert run(["predict", "--model", str(desk / "m"), *out, "--explain-top", "5"]) == 2
    assert "give --explain FILE" in capsys.readouterr().err
    assert not (desk / "never.csv").exists()


def test_training_again_gives_the_same_model(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    ids = []
    for name in ("one", "two"):
        assert (
            run(
                [
                    "train",
                    "--data",
                    str(desk / "train.csv"),
                    "--label",
                    "kind",
                    "--out",
                    str(desk / name),
                    "--quiet",
                    "--no-trial",
                ]
            )
            == 0
        )
        told = json.loads((desk / name / "manifest.json").read_text())
        ids.append((told["files"], told["created_at"]))
    assert ids[0] == ids[1]


def test_a_report_card_is_written_and_says_what_was_judged(desk: Path) -> None:
    arguments = [
        "--model",
        str(desk / "m"),
        "--data",
        str(desk / "later.csv"),
        "--label",
        "kind",
        "--out",
        str(desk / "card"),
    ]
    assert run(["evaluate", *arguments, "--quiet"]) == 0
    card = json.loads((desk / "card" / "report.json").read_text())
    assert (card["rows"], card["subject"]["label"], card["subject"]["benign"]) == (700, "kind", "benign")
    assert [point["wanted"] for point in card["operating_points"]] == [0.001, 0.01]
    assert [each["column"] for each in card["deciding"]] == ["x", "y"]
    assert card["deciding"][0]["hostile"] > 0 > card["deciding"][0]["benign"]
    page = (desk / "card" / "report.html").read_text()
    assert "Report card of m" in page
    assert "What decides" in page


def test_missing_columns_and_faults_are_named(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (desk / "bad.csv").write_text("x,y\n0.5,0.5\n0.5,much\n")
    (desk / "few.csv").write_text("x\n0.5\n")
    for name, problem in (("bad.csv", "bad.csv: y: row 1 holds 'much'"), ("few.csv", "few.csv: column is missing: y")):
        out = desk / "never.csv"
        assert run(["predict", "--model", str(desk / "m"), "--data", str(desk / name), "--out", str(out)]) == 2
        assert problem in capsys.readouterr().err
        assert not out.exists()


def test_models_are_signed_and_trusted_by_key(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    key, other = str(desk / "key.pem"), str(desk / "other.pem")
    for name in (key, other):
        assert run(["models", "key", "--out", name, "--quiet"]) == 0
    assert run(["models", "verify", str(desk / "m"), "--key", f"{key}.pub"]) == 2
    assert "is not signed" in capsys.readouterr().err
    assert run(["models", "sign", str(desk / "m"), "--key", key, "--quiet"]) == 0
    assert run(["models", "verify", str(desk / "m"), "--key", f"{key}.pub", "--quiet"]) == 0
    monkeypatch.setenv("INFRASPECTRE_MODEL_TRUST", f"{other}.pub")
    assert (
        run(["predict", "--model", str(desk / "m"), "--data", str(desk / "later.csv"), "--out", str(desk / "p.csv")])
        == 2
    )
    assert "is not signed by the key" in capsys.readouterr().err


def test_an_unknown_builtin_model_is_refused(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "show", "builtin:../m"]) == 2
    assert "no built-in model is named '../m'" in capsys.readouterr().err


def test_a_table_of_one_class_and_a_column_that_is_not_there_are_refused(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows(300).with_columns(kind=pl.lit("benign")).write_csv(desk / "calm.csv")
    out = ["--label", "kind", "--out", str(desk / "none"), "--quiet"]
    assert run(["train", "--data", str(desk / "calm.csv"), *out]) == 2
    assert "calm.csv: kind: every row is labelled 'benign'; " in capsys.readouterr().err
    assert run(["train", "--data", str(desk / "train.csv"), *out, "--drop", "z"]) == 2
    assert "train.csv: z: there is no such column" in capsys.readouterr().err
    assert not (desk / "none").exists()


def test_an_anomaly_model_learns_from_benign_rows_alone(desk: Path) -> None:
    rows(600).with_columns(kind=pl.lit("benign")).write_csv(desk / "calm.csv")
    arguments = ["--label", "kind", "--task", "anomaly", "--out", str(desk / "anomaly"), "--quiet"]
    assert run(["train", "--data", str(desk / "calm.csv"), *arguments]) == 0
    judged = ["--data", str(desk / "later.csv"), "--label", "kind", "--out", str(desk / "c2"), "--quiet"]
    assert run(["evaluate", "--model", str(desk / "anomaly"), *judged]) == 0


def test_novel_rows_are_labelled_so_where_that_is_asked_for(tmp_path: Path) -> None:
    for name, seed in (("train", 1), ("later", 2)):
        attacks(1_500, seed).write_csv(tmp_path / f"{name}.csv")
    model, out = tmp_path / "m", tmp_path / "out.csv"
    run(["train", "--data", str(tmp_path / "train.csv"), "--label", "kind", "--out", str(model), "--no-trial"])
    later = pl.read_csv(tmp_path / "later.csv")
    new = (later["kind"] == "flood").to_numpy()
    strange = later.with_columns(x=pl.when(pl.Series(new)).then(pl.col("x") * 8).otherwise(pl.col("x")))
    strange.write_csv(tmp_path / "strange.csv")
    judge = ["predict", "--model", str(model), "--data", str(tmp_path / "strange.csv"), "--out", str(out)]
    assert run(judge) == 0
    assert "novel" not in pl.read_csv(out)["label"].to_list()
    assert run([*judge, "--novel"]) == 0
    found = (pl.read_csv(out)["label"] == "novel").to_numpy()
    assert found[new].mean() > 0.9
    assert found[~new].mean() < 0.05


def test_a_model_of_one_hostile_class_tells_nothing_novel(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["predict", "--model", str(desk / "m"), "--data", str(desk / "later.csv"), "--out", str(desk / "n.csv")]
    assert run([*command, "--novel"]) == 2
    assert "leave out --novel" in capsys.readouterr().err
    assert not (desk / "n.csv").exists()
