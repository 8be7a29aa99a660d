"""Models judge flows and texts: one clear row is reported, a doubtful one among many is not, floods are bounded."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import polars as pl
import pytest

from flow_rows import flow
from flow_rows import frame as framed
from infraspectre.ml.detector import Contributions, Judgement
from infraspectre.records.explanation import Explanation
from infraspectre.soma.models import ModelDetector, ModelSettings, meaning, needed_columns
from model_fakes import Line
from soma_runs import found_in


class Marked(Line):
    """Calls texts hostile that hold a mark, with the probability given."""

    kind: ClassVar[str] = "marked"

    def judge(self, frame: pl.DataFrame) -> Judgement:
        marked = frame[self._column].str.contains("evil").to_numpy()
        scores = np.where(marked, 0.9, 0.01)
        return Judgement(["dga" if one else "benign" for one in marked], scores, scores, scores, scores)


def judged(*shares: float, **columns: str) -> pl.DataFrame:
    """Return a flow for each probability that the model is to give."""
    return framed([flow(place, bytes_per_s=share, **columns) for place, share in enumerate(shares)])


def found(frame: pl.DataFrame, size: int = 8_192, settings: ModelSettings | None = None) -> list[tuple[object, ...]]:
    made = found_in(lambda: ModelDetector("m", Line("bytes_per_s"), settings), frame, size)
    return [(each.orig, each.category, each.severity, each.probability, len(each.flow_ids)) for each in made]


def test_rows_of_one_host_and_class_become_one_detection() -> None:
    ((orig, category, severity, probability, flow_ids),) = found(judged(0.9, 0.9, 0.9))
    assert (category, severity, flow_ids) == ("hostile_by_model", "high", 3)
    assert probability == pytest.approx(0.9)
    assert orig is not None


def test_a_doubtful_row_among_many_is_not_reported_and_a_clear_one_is() -> None:
    benign = [0.01] * 199
    assert found(judged(0.8, *benign)) == []
    ((*_, severity, probability, _),) = found(judged(0.9999, *benign))
    assert severity == "high"
    assert probability == pytest.approx(0.98, abs=0.01)


@pytest.mark.parametrize("size", [1, 7, 64])
def test_batches_leave_no_trace(size: int) -> None:
    frame = judged(*np.random.default_rng(1).random(200).tolist())
    assert found(frame, size) == found(frame)


def test_reports_are_bounded() -> None:
    frame = framed([flow(bytes_per_s=0.99, orig_ip=f"203.0.113.{host}") for host in range(20)])
    assert len(found(frame, settings=ModelSettings(reports=5))) == 5


def test_texts_are_judged_where_flows_carry_them() -> None:
    frame = framed([flow(dns_queries=names) for names in (["good.example", "evil.example"], None, [])])
    (each,) = found_in(lambda: ModelDetector("m", Marked("domain")), frame)
    assert each.category == "generated_domains"
    assert [technique.id for technique in each.techniques] == ["T1568.002"]
    assert each.evidence.examples == ["evil.example"]
    assert each.evidence.measures["rows"] == 2


def test_values_of_parameters_are_judged_without_their_names() -> None:
    frame = framed([flow(http_uris=["/a?evil=1&x=evil'%20or", "/evil", "/b?"])])
    (each,) = found_in(lambda: ModelDetector("m", Marked("payload")), frame)
    assert each.evidence.examples == ["evil'%20or"]
    assert each.evidence.measures["rows"] == 2


def test_classes_that_are_known_have_techniques() -> None:
    assert [technique.id for technique in meaning("SSH-Patator").techniques] == ["T1110.001"]
    assert meaning("PortScan").category == "port_scan"
    assert meaning("\x1b[31m").category == "hostile_by_model"


def test_a_model_of_texts_needs_the_column_that_holds_them() -> None:
    assert needed_columns(["payload"]) == {"http_uris"}
    assert needed_columns(["domain", "query"]) == {"domain", "query"}


class Telling(Line):
    """Says of rows which value it looked at."""

    kind: ClassVar[str] = "telling"
    asked: ClassVar[list[int]] = []

    def explain(self, frame: pl.DataFrame) -> list[Explanation]:
        self.asked.append(len(frame))
        return [Explanation(1.0, 0.0, [], [], [], f"Called so for {value:.3f}") for value in frame[self._column]]

    def contributions(self, frame: pl.DataFrame) -> Contributions:
        raise NotImplementedError


def test_a_report_says_why_the_most_suspicious_row_is_judged_so_and_asks_for_that_alone() -> None:
    Telling.asked.clear()
    (each,) = found_in(lambda: ModelDetector("m", Telling("bytes_per_s")), judged(0.7, 0.95, 0.9), 1)
    assert each.evidence.summary.endswith("Most suspicious: called so for 0.950")
    assert each.evidence.measures["stage"] == 3
    assert Telling.asked == [1] * len(Telling.asked)
    assert len(Telling.asked) <= 3


def test_no_more_rows_are_explained_than_reports_are_given() -> None:
    Telling.asked.clear()
    frame = framed([flow(bytes_per_s=0.99, orig_ip=f"203.0.113.{host}") for host in range(20)])
    assert len(found_in(lambda: ModelDetector("m", Telling("bytes_per_s"), ModelSettings(reports=5)), frame)) == 5
    assert len(Telling.asked) == 5
