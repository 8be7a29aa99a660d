"""A search begins with the usual settings, goes on where it was ended, and ends the same."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from infraspectre.errors import InputError
from infraspectre.learning import training
from infraspectre.learning.search import SPACE, Search, searched, values_of
from infraspectre.learning.splitting import Split
from infraspectre.learning.trials import Figures, Labelled
from infraspectre.ml.council import USUAL, CouncilSettings
from infraspectre.ml.detector import Judgement
from model_fakes import Line, rows


class Noisy(Line):
    """Judges worse the farther its settings are from 5 levels of trees and a vote of 0.7."""

    def __init__(self, settings: CouncilSettings) -> None:
        super().__init__()
        self._noise = abs(settings.triage.depth - 5) / 5 + abs(settings.surprise_weight - 0.7)

    def judge(self, frame: pl.DataFrame) -> Judgement:
        told = super().judge(frame)
        scores = told.scores + self._noise * np.random.default_rng(0).random(len(frame))
        labels = ["attack" if score > 0.5 else "benign" for score in scores]
        return Judgement(labels, scores, told.probabilities, told.low, told.high)


class Memory:
    """Keeps figures as a checkpoint does, and is killed after some."""

    def __init__(self, room: int = 1_000) -> None:
        self.figures: dict[str, Figures] = {}
        self.room = room

    def keep(self, name: str, compute: Callable[[], Figures]) -> Figures:
        if name not in self.figures:
            if len(self.figures) >= self.room:
                raise KeyboardInterrupt
            self.figures[name] = compute()
        return self.figures[name]


@pytest.fixture(autouse=True)
def _optuna() -> None:
    pytest.importorskip("optuna")


def learn(_: pl.DataFrame, settings: CouncilSettings) -> Noisy:
    return Noisy(settings)


def table(count: int = 1_200) -> Labelled:
    return Labelled(rows(count), "kind", Split(), [])


def found(memory: Memory, trials: int = 25, seed: int = 0) -> CouncilSettings:
    return searched(table(), learn, Search(trials, objective="macro-f1"), USUAL, memory.keep, seed)


def test_the_usual_settings_are_tried_first_and_beaten() -> None:
    memory = Memory()
    best = found(memory)
    first, *others = memory.figures.values()
    assert {name: first[name] for name in SPACE} == values_of(USUAL)
    assert len(others) == 24
    assert max(each["objective"] for each in others) > first["objective"]
    assert abs(best.surprise_weight - 0.7) < abs(USUAL.surprise_weight - 0.7)


def test_a_search_that_was_ended_goes_on_to_the_same_end() -> None:
    whole, broken = Memory(), Memory(13)
    with pytest.raises(KeyboardInterrupt):
        found(broken)
    broken.room = 1_000
    assert found(broken) == found(whole)
    assert broken.figures == whole.figures
    assert found(Memory(), seed=1) != found(whole)


def test_time_ends_a_search_after_one_trial_at_least() -> None:
    memory = Memory()
    assert searched(table(), learn, Search(seconds=1e-9, objective="macro-f1"), USUAL, memory.keep) == USUAL
    assert len(memory.figures) == 1


def test_too_few_rows_to_measure_are_said_to_be() -> None:
    with pytest.raises(InputError, match="no fold has enough rows to measure recall at 1 percent"):
        searched(table(60), learn, Search(2), USUAL, Memory().keep)


def test_rows_of_the_trial_have_no_part_in_the_search() -> None:
    frame = rows(1_500).with_row_index("mark").with_columns(pl.col("mark").cast(pl.Float64) / 7)
    seen: list[set[float]] = []

    def watched(learnt: pl.DataFrame, _: CouncilSettings) -> Line:
        seen.append(set(learnt["mark"]))
        return Line()

    plan = training.Plan(search=Search(2, objective="macro-f1"))
    trained = training.train(frame, "kind", watched, plan)
    *searches, trial, everything = seen
    assert set.union(*searches) <= trial < everything
    assert trained.metrics["rows"] > 0
