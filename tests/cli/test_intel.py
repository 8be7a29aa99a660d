"""`infraspectre intel` counts, names what is broken, and finds what is known of a value; `analyze --intel` uses it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infraspectre.cli import run
from infraspectre.errors import EXIT_BAD_INPUT, EXIT_DONE, EXIT_FAILED, EXIT_LOSSES

SAMPLE = Path(__file__).parents[2] / "examples" / "sample.pcap.gz"


@pytest.fixture
def feed(tmp_path: Path) -> Path:
    """A list with one broken line."""
    path = tmp_path / "feed.csv"
    path.write_text(
        "value,confidence,malware\nk4vq9x.example,90,FunRAT\n192.0.2.0/24,10,\nnonsense!,,\n", encoding="utf-8"
    )
    return path


def test_check_counts_and_names_what_is_broken(feed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["intel", "check", str(feed), "--json"]) == EXIT_LOSSES
    found = json.loads(capsys.readouterr().out)
    assert found["indicators"] == {"cidr": 1, "domain": 1}
    assert [each["line"] for each in found["refused"]] == [4]


@pytest.mark.parametrize(
    ("value", "status", "kinds"),
    [("a.k4vq9x.example", EXIT_DONE, ["domain"]), ("192.0.2.9", EXIT_DONE, ["cidr"]), ("10.0.0.1", EXIT_FAILED, [])],
)
def test_lookup_says_what_is_known(
    feed: Path, capsys: pytest.CaptureFixture[str], value: str, status: int, kinds: list[str]
) -> None:
    assert run(["intel", "lookup", value, "--intel", str(feed), "--json"]) == status
    assert [each["indicator"]["kind"] for each in json.loads(capsys.readouterr().out)] == kinds


@pytest.mark.parametrize("words", [["intel", "lookup", "a.example"], ["intel", "check", "nowhere"]])
def test_what_cannot_work_is_refused(words: list[str]) -> None:
    assert run(words) == EXIT_BAD_INPUT


def test_analyze_finds_indicators_and_counts_them(feed: Path, tmp_path: Path) -> None:
    words = ["analyze", str(SAMPLE), "--intel", str(feed), "--out", str(tmp_path / "out"), "--quiet"]
    assert run(words) == EXIT_LOSSES
    lines = (tmp_path / "out" / "detections.jsonl").read_text(encoding="utf-8").splitlines()
    found = [each for each in map(json.loads, lines) if each["category"] == "indicator_match"]
    assert "FunRAT" in "".join(each["evidence"]["summary"] for each in found)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    assert summary["indicators"] == {"cidr": 1, "domain": 1, "vetoed": 0, "unusable": 0, "refused": 1}


def test_vectors_hold_reputations(feed: Path, tmp_path: Path) -> None:
    import polars as pl

    out = tmp_path / "vectors.parquet"
    words = ["flows", str(SAMPLE), "--features", "vector", "--intel", str(feed), "--out", str(out), "--quiet"]
    assert run(words) == EXIT_LOSSES
    table = pl.read_parquet(out)
    assert table["domain_reputation"].drop_nulls().max() == pytest.approx(0.9)
    assert table["resp_reputation"].drop_nulls().max() == pytest.approx(0.08)
