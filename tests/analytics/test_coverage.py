"""The ATT&CK matrix: what covers techniques, and what was seen of them."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from infraspectre.adapters.record_store import open_sqlite
from infraspectre.analytics.coverage import Seen, covered, in_incidents, matrix, named_in, proven, worse
from infraspectre.intel.attack import attack_table
from infraspectre.records import Technique
from infraspectre.records.collections import INCIDENTS
from infraspectre.soma import techniques
from log_fakes import SetClock

ROOT = Path(__file__).parents[2]


def test_every_technique_that_detectors_can_name_has_one() -> None:
    named = {each.id for each in vars(techniques).values() if isinstance(each, Technique)}
    assert named - covered().keys() == {"T1021", "T1573"}  # which models that are given name
    assert "scan" in covered()["T1046"]
    assert "beacon" in covered()["T1071.001"]


def test_the_package_has_the_proofs_of_the_documentation() -> None:
    layer = ROOT / "docs" / "reference" / "attack-coverage.json"
    copy = ROOT / "src" / "infraspectre" / "intel" / "data" / "attack-coverage.json"
    assert copy.read_bytes() == layer.read_bytes()
    assert "slow-scan" in proven()["T1046"]


def test_techniques_are_counted_in_detections() -> None:
    one = pl.DataFrame({"techniques": [["T1046", "T1018"], ["T1046"], []], "severity": ["low", "high", "critical"]})
    assert named_in([one, one.head(1)]) == {"T1046": Seen(0, 3, "high"), "T1018": Seen(0, 2, "low")}
    assert named_in([]) == {}
    assert worse(None, "low", "high") == "high"
    assert worse(None) is None


def test_techniques_are_counted_in_incidents_of_the_tenant_and_the_span(tmp_path: Path) -> None:
    records = open_sqlite(tmp_path / "records.db", SetClock())
    for number, (at, level, value) in enumerate(((5, "low", 20.0), (9, "high", 80.0), (9, "medium", 60.0))):
        record = {"techniques": ["T1046", "T9999"], "last_seen": at, "level": level, "value": value}
        records.put("a", INCIDENTS, str(number), record)
    found = in_incidents(records, "a", INCIDENTS, 6, {"T9999": Seen(0, 4, "critical")})
    assert found["T1046"] == Seen(2, 0, "high")
    assert found["T9999"] == Seen(2, 4, "critical")
    assert in_incidents(records, "b", INCIDENTS, 0, {})["T1046"] == Seen()
    records.close()


def test_the_matrix_has_all_techniques_in_order() -> None:
    told = matrix({"T1046": Seen(1, 2, "low"), "T9999": Seen(1, 0, "high")})
    assert told.version == attack_table().version
    assert [each.tactic for each in told.tactics] == list(attack_table().tactics)
    known = {each.id: each for each in told.techniques}
    assert len(known) == len(attack_table().techniques) + 1
    assert (known["T1046"].incidents, known["T1046"].detections, known["T1046"].worst) == (1, 2, "low")
    assert known["T1110.001"].parent == "T1110"
    assert known["T1110"].parent is None
    assert known["T9999"].name == "T9999"
