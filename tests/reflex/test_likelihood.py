from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from findings import finding
from infraspectre.intel.calibration import LEAST_EXAMPLES, Calibration, Line, Residuals, calibration
from infraspectre.records import Detection
from infraspectre.reflex.likelihood import interval, probability, traits

NONE = Calibration({"any": Line(-3.3, 6.0)}, 0.0, {"strongest": 1.0}, {})
SPREAD = [n / 100 for n in range(1, 101)]


def learnt(attacks: list[float], others: list[float], group: str = "raised/any") -> Calibration:
    return msgspec.structs.replace(NONE, residuals={group: Residuals(attacks, others)})


def ends(likelihood: float, data: Calibration, *told: Detection, lost: float = 0.0) -> tuple[float, float]:
    return interval(70.0, likelihood, told or (finding(1),), "medium", data, lost)


def test_without_examples_nothing_is_excluded() -> None:
    assert ends(0.7, NONE) == (0.0, 100.0)


def test_ninety_of_a_hundred_outcomes_are_held_of_attacks_and_of_others() -> None:
    data = learnt(SPREAD, SPREAD)
    held = [ends(1 - residual, data)[1] == 100.0 for residual in SPREAD]
    excused = [ends(residual, data)[0] == 0.0 for residual in SPREAD]
    assert (sum(held), sum(excused)) == (91, 91)


def test_an_outcome_that_is_not_held_is_never_rounded_into_the_interval() -> None:
    data = learnt([0.5] * 100, [0.5] * 100)
    assert ends(0.50004, data)[0] == 0.1
    assert ends(0.49996, data)[1] == 99.9


def test_lost_traffic_widens_the_interval() -> None:
    data = learnt(SPREAD, [each / 2 for each in SPREAD])
    assert ends(0.48, data)[0] > ends(0.48, data, lost=0.03)[0] > ends(0.48, data, lost=0.2)[0] == 0.0


def test_a_family_with_few_examples_falls_back_to_all() -> None:
    few, many = [0.1] * (LEAST_EXAMPLES - 1), [0.1] * LEAST_EXAMPLES
    pool = {"raised/any": Residuals(SPREAD, SPREAD)}
    for own, low in ((few, 4.0), (many, 85.0)):
        data = msgspec.structs.replace(NONE, residuals=pool | {"raised/scan": Residuals(own, own)})
        assert ends(0.95, data)[0] == pytest.approx(min(low, 70.0), abs=0.2)


def test_a_category_is_told_apart_within_its_family() -> None:
    residuals = {"raised/any": Residuals(SPREAD, SPREAD), "raised/dns_tunnel": Residuals([0.2] * 99, [0.2] * 99)}
    data = msgspec.structs.replace(NONE, residuals=residuals)
    told = finding(1, category="dns_tunnel")
    assert ends(0.5, data, told) == (30.0, 70.0)
    assert ends(0.5, data, finding(1, category="icmp_tunnel")) == (0.0, 100.0)


def test_the_value_lies_in_the_interval() -> None:
    data = learnt([0.01] * 100, [0.01] * 100)
    assert ends(0.99, data) == (70.0, 100.0)
    assert ends(0.02, data)[1] == 70.0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=5), st.floats(0, 1))
def test_more_evidence_is_never_less_likely(scores: list[float], more: float) -> None:
    told = [finding(n, score=score, detector=str(n)) for n, score in enumerate(scores, 1)]
    data = calibration()
    assert probability([*told, finding(9, score=more, category="beacon")], data) >= probability(told, data)


def test_the_calibration_that_comes_along_is_monotone_and_ordered() -> None:
    data = calibration()
    assert all(weight >= 0 for weight in data.traits.values())
    assert data.traits.keys() <= traits([finding(1)]).keys()
    assert all(line.slope >= 0 for line in data.findings.values())
    for group in data.residuals.values():
        assert group.attacks == sorted(group.attacks)
        assert group.others == sorted(group.others)


def test_probabilities_follow_the_family() -> None:
    lines = {"any": Line(0.0, 0.0), "scan": Line(-3.0, 6.0)}
    data = msgspec.structs.replace(NONE, findings=lines)
    assert data.probability("unheard", 1.0) == 0.5
    assert data.probability("port_scan", 1.0) > 0.9 > data.probability("port_scan", 0.2)


def test_a_finding_that_ends_before_it_begins_did_not_last() -> None:
    backwards = msgspec.structs.replace(finding(1, lasting=10_000.0), last_seen=0)
    assert traits([backwards])["persistence"] == 0.0
