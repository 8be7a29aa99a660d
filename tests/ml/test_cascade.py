"""The cascade: what is shed under load, in which order, and that without a budget it judges as its model does."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from infraspectre.ml.cascade import MICRO_BATCH, RECOVERY, UNNAMED, Cascade, Stage, Triaged
from infraspectre.ml.detector import Matrix

FRAME = pl.DataFrame({"x": [0.1, 0.9, 0.2, 0.8]})


class Slow:
    """Flags a half, and takes as long for a stage as the test says."""

    classes = ("benign", "scan")

    def __init__(self) -> None:
        self.now = 0.0
        self.takes = {Stage.TRIAGE: 1.0, Stage.FAMILIES: 1.0, Stage.EXPLANATIONS: 1.0}

    def clock(self) -> float:
        return self.now

    def triage(self, frame: pl.DataFrame) -> Triaged:
        self.now += self.takes[Stage.TRIAGE]
        x = frame["x"].to_numpy()
        return Triaged(x[:, None].astype(np.float32), x, x, x, x, np.flatnonzero(x > 0.5))

    def families(self, rows: Matrix) -> list[str]:
        self.now += self.takes[Stage.FAMILIES]
        return ["scan"] * len(rows)

    def explain(self, frame: pl.DataFrame) -> list[str]:
        self.now += self.takes[Stage.EXPLANATIONS]
        return [f"x is {x}" for x in frame["x"]]


def cascade(model: Slow, budget_s: float) -> Cascade[str]:
    return Cascade(model, model.explain, budget_s=budget_s, clock=model.clock)  # type: ignore[arg-type]


def test_suspicious_rows_reach_all_stages_and_others_the_first() -> None:
    verdicts = cascade(Slow(), 10.0).judge(FRAME)
    assert verdicts.judgement.labels == ["benign", "scan", "benign", "scan"]
    assert verdicts.stages.tolist() == [1, 3, 1, 3]
    assert verdicts.told == {1: "x is 0.9", 3: "x is 0.8"}


def test_a_stage_does_not_begin_once_the_budget_is_spent() -> None:
    assert cascade(Slow(), 1.5).judge(FRAME).stages.tolist() == [1, 2, 1, 2]
    verdicts = cascade(Slow(), 0.5).judge(FRAME)
    assert verdicts.stages.tolist() == [1, 1, 1, 1]
    assert verdicts.judgement.labels == ["benign", UNNAMED, "benign", UNNAMED]
    assert verdicts.judgement.scores.tolist() == FRAME["x"].to_list()


def test_explanations_are_shed_first_then_families_and_triage_never() -> None:
    model = Slow()
    judged = cascade(model, 2.5)
    reached = []
    for _ in range(4):
        reached.append(int(judged.judge(FRAME).stages.max()))
        model.takes[Stage.FAMILIES] = 2.0
    assert reached == [3, 2, 1, 1]
    assert judged.missed == 2


def test_what_was_shed_comes_back_after_swift_micro_batches() -> None:
    model = Slow()
    judged = cascade(model, 2.5)
    judged.judge(FRAME)
    shed = int(judged.reach)
    model.takes = dict.fromkeys(Stage, 0.1)
    for _ in range(RECOVERY):
        judged.judge(FRAME)
    assert (shed, int(judged.reach)) == (Stage.FAMILIES, Stage.EXPLANATIONS)


def test_micro_batches_are_bounded() -> None:
    with pytest.raises(ValueError, match="more than a micro-batch"):
        cascade(Slow(), 1.0).judge(pl.DataFrame({"x": [0.0] * (MICRO_BATCH + 1)}))
