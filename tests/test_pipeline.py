from __future__ import annotations

import polars as pl

from infraspectre.pipeline import Pipeline
from infraspectre.records import FlowBatch
from pipeline_fakes import Correlating, Detecting, Stages


def test_a_batch_goes_through_the_four_stages_in_order() -> None:
    calls: list[str] = []
    pipeline = Pipeline(Stages(calls), Detecting(calls), Correlating(calls), Stages(calls))
    decisions = pipeline.process(FlowBatch(pl.DataFrame({"flow_id": [1]})))
    assert calls == ["extract", "detect", "correlate", "decide"]
    assert [one.incident.incident_id for one in decisions] == ["d1"]


def test_the_end_brings_out_what_was_still_open() -> None:
    pipeline = Pipeline(Stages(), Detecting(), Correlating(), Stages())
    assert [one.incident.incident_id for one in pipeline.finish()] == ["d2", "open"]
    assert [one.detection_id for one in pipeline.detections] == ["d2"]
