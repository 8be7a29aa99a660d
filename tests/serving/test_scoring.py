from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from infraspectre.errors import InputError, OverloadError, UsageError
from infraspectre.modelbook import OpenModel, open_model
from infraspectre.serving.scoring import Scoring

NAMES = ["kq3v9z7xwp1d.com", "example.com", "xj2k9q0vvz8w7.net"]


@pytest.fixture(scope="module")
def scoring() -> Iterator[Scoring]:
    scoring = Scoring(open_model)
    yield scoring
    scoring.close()


def flow(model: OpenModel, value: float) -> dict[str, Any]:
    return {name: value if kind == "number" else "x" for name, kind in model.manifest.columns.items()}


def test_many_callers_get_what_each_would_get_alone(scoring: Scoring) -> None:
    together = [scoring.judge("builtin:dga", [{"domain": name}]) for name in NAMES]
    alone = scoring.judge("builtin:dga", [{"domain": name} for name in NAMES]).result(60)
    assert [each.result(60)[0] for each in together] == alone
    assert alone[0].score > alone[1].score


def test_callers_who_name_the_column_otherwise_are_judged_apart(scoring: Scoring) -> None:
    first, second = (scoring.judge("builtin:dga", [{name: NAMES[0]}]) for name in ("domain", "query"))
    assert first.result(60) == second.result(60)


def test_one_callers_fault_is_told_to_that_one_alone(scoring: Scoring) -> None:
    good = flow(scoring.model("builtin:flow"), 1.0)
    faulty = good | {"orig_packets": "many"}
    answers = [scoring.judge("builtin:flow", [row]) for row in (good, faulty, good)]
    assert answers[0].result(60) == answers[2].result(60)
    with pytest.raises(InputError, match="orig_packets: is no number in row 0"):
        answers[1].result(60)


def test_columns_that_are_missing_are_named(scoring: Scoring) -> None:
    with pytest.raises(InputError, match=r"columns are missing: orig_packets, .* and \d+ more"):
        scoring.judge("builtin:flow", [{"something": 1}])


def test_an_unknown_model_is_told_at_once(scoring: Scoring) -> None:
    with pytest.raises(UsageError, match="no built-in model"):
        scoring.judge("builtin:none", [{}])


def test_what_more_than_there_is_room_for_is_refused() -> None:
    begun, go = Event(), Event()

    def slowly(name: str) -> OpenModel:
        return open_model(name)

    scoring = Scoring(slowly, most_waiting=1)
    model = scoring.model("builtin:dga").model
    judge = model.judge

    def waiting(frame: Any) -> Any:
        begun.set()
        go.wait(60)
        return judge(frame)

    model.judge = waiting  # type: ignore[method-assign]
    answers = [scoring.judge("builtin:dga", [{"domain": NAMES[0]}])]
    begun.wait(60)
    answers.append(scoring.judge("builtin:dga", [{"domain": NAMES[1]}]))
    with pytest.raises(OverloadError):
        scoring.judge("builtin:dga", [{"domain": NAMES[2]}])
    go.set()
    assert all(len(each.result(60)) == 1 for each in answers)
    scoring.close()


def test_what_comes_while_several_do_is_judged_together(monkeypatch: pytest.MonkeyPatch) -> None:
    scoring, begun, go, sizes = Scoring(open_model), Event(), Event(), list[int]()
    model = scoring.model("builtin:dga").model
    judge = model.judge

    def noted(frame: Any) -> Any:
        sizes.append(len(frame))
        begun.set()
        go.wait(60)
        return judge(frame)

    model.judge = noted  # type: ignore[method-assign]
    ask = partial(scoring.judge, "builtin:dga", [{"domain": NAMES[0]}])
    later: list[Any] = []

    def gathering(seconds: float) -> None:
        assert 0 < seconds < 0.01
        later.extend([ask(), ask()])

    monkeypatch.setattr("infraspectre.serving.scoring.time", SimpleNamespace(sleep=gathering))
    answers = [ask()]
    begun.wait(60)
    answers += [ask(), ask()]
    go.set()
    assert [len(each.result(60)) for each in answers] == [1, 1, 1]
    assert ask().result(60) == [each.result(60)[0] for each in later][:1]
    scoring.close()
    assert sizes == [1, 2, 3]


def test_a_prediction_is_explained(scoring: Scoring) -> None:
    row = flow(scoring.model("builtin:flow"), 1.0)
    (told,) = scoring.explain("builtin:flow", [row])
    assert abs(told.base + sum(each.contribution for each in told.attributions) - told.margin) < 1e-4
