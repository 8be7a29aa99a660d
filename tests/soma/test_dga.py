"""Hosts that try generated domains are found; browsing, content networks, private names and mistyping are not."""

from __future__ import annotations

import random
import string
from pathlib import Path
from typing import Any

import pytest

import infraspectre as ins
from flow_rows import flow, frame
from infraspectre.app import compose, domain_model
from infraspectre.ml.detector import Model
from infraspectre.simulation import simulate
from infraspectre.soma.dga import Dga, DgaSettings
from soma_runs import found_in

LETTERS = string.ascii_lowercase


def asked(at: float, names: list[str], codes: list[str], **columns: Any) -> dict[str, Any]:
    listed = {"dns_queries": names, "dns_response_codes": codes, "dns_nxdomain_count": codes.count("NXDOMAIN")}
    return flow(at, **({"protocol": "udp", "resp_port": 53, "app_protocol": "dns"} | listed | columns))


def drawn(source: random.Random, size: int = 14) -> str:
    return "".join(source.choices(LETTERS, k=size)) + ".com"


def missed(count: int, seed: int = 1, **columns: Any) -> list[dict[str, Any]]:
    source = random.Random(seed)
    return [asked(n, [drawn(source)], ["NXDOMAIN"], **columns) for n in range(count)]


def detector() -> Dga:
    return Dga(domain_model)


def unread() -> Model:
    raise AssertionError("the model was read")


def test_many_generated_domains_that_do_not_exist_are_found() -> None:
    (found,) = found_in(detector, frame(missed(60)))
    assert (found.category, found.orig, found.resp) == ("generated_domains", "10.0.0.5", None)
    assert [technique.id for technique in found.techniques] == ["T1568.002"]
    assert found.evidence.measures["missing_domains"] == 60
    assert found.evidence.measures["generated_domains"] > 50
    assert found.evidence.examples[0].endswith(".com")
    assert found.severity in ("high", "critical")


def test_names_within_one_flow_are_told_apart_by_their_responses() -> None:
    source = random.Random(1)
    names = [drawn(source) for _ in range(30)] + ["wikipedia.org", "example.com"]
    (found,) = found_in(detector, frame([asked(0, names, ["NXDOMAIN"] * 30 + ["NOERROR"] * 2)]))
    assert found.evidence.measures["missing_domains"] == 30


@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_batches_leave_no_trace(size: int) -> None:
    flows = frame(missed(60))
    assert found_in(detector, flows, size) == found_in(detector, flows)


def test_the_model_is_not_read_for_ordinary_names() -> None:
    browsing = [asked(n, [f"www.shop{n}.example.com"], ["NOERROR"]) for n in range(500)]
    mistyped = [asked(n, [f"shop{n}.exmaple.com"], ["NXDOMAIN"]) for n in range(500)]
    few = missed(8)
    private = [asked(n, [f"{name}.corp"], ["NXDOMAIN"]) for n, name in enumerate(LETTERS)]
    single = [asked(n, [drawn(random.Random(n))[:-4]], ["NXDOMAIN"]) for n in range(100)]
    assert found_in(lambda: Dga(unread), frame(browsing + mistyped + few + private + single)) == []


WORDS = ["river", "stone", "market", "green", "paper", "cloud", "silver", "forest", "window", "garden"]


def put_together(count: int, gap_s: float) -> list[dict[str, Any]]:
    """Ask for domains of two words that do not exist."""
    pairs = [f"{a}{b}.com" for a in WORDS for b in WORDS if a != b]
    return [asked(gap_s * n, [name], ["NXDOMAIN"]) for n, name in enumerate(pairs[:count])]


def test_names_of_people_that_do_not_exist_are_no_generated_ones() -> None:
    assert found_in(detector, frame(put_together(15, 300.0))) == []


def test_a_burst_of_domains_that_do_not_exist_is_a_search_whatever_they_look_like() -> None:
    found = found_in(detector, frame(put_together(60, 1.0)))[-1]
    assert (found.category, found.score >= 0.5) == ("generated_domains", True)


def test_odd_looking_domains_that_exist_are_no_search() -> None:
    source = random.Random(3)
    exist = [asked(n, [drawn(source)], ["NOERROR"]) for n in range(60)]
    assert found_in(detector, frame(exist + missed(15))) == []


def test_memory_is_bounded() -> None:
    settings = DgaSettings(kept_names=40, capacity=4)
    flows = [row for n in range(9) for row in missed(100, n, orig_ip=f"10.0.1.{n}")]
    dga = Dga(domain_model, settings)
    found = found_in(lambda: dga, frame(flows))
    assert len(dga._book.cases) <= 4
    assert max(each.evidence.measures["missing_domains"] for each in found) == 40


def test_odd_rows_pass() -> None:
    odd = ["", ".", "a", "..", "x" * 1_000, "\\x00.example", "ü.example.com"]
    rows = [asked(0, odd, ["NXDOMAIN"]), flow(1, dns_queries=["a.b.c"], dns_response_codes=None), asked(2, [], [])]
    assert found_in(detector, frame(rows)) == []


def test_a_name_mistyped_hours_before_does_not_lengthen_the_search() -> None:
    early = [asked(0, ["goglee.com"], ["NXDOMAIN"])]
    source = random.Random(1)
    late = [asked(30_000 + n, [drawn(source)], ["NXDOMAIN"]) for n in range(60)]
    (found,) = found_in(detector, frame(early + late))
    assert found.last_seen - found.first_seen < 60 * 1_000_000_000


@pytest.mark.parametrize(("kind", "count"), [("letters", 1), ("hex", 1), ("none", 0)])
def test_a_simulated_search_is_found_and_content_networks_are_not(kind: str, count: int, tmp_path: Path) -> None:
    simulate("domain-generation", tmp_path, 1, kind=kind, hosts=4, duration_s=120)
    analysis = ins.analyze(next(tmp_path.glob("*.pcap*")))
    found = [each for each in analysis.detections if each.detector == "dga"]
    assert len({each.orig for each in found}) == count


def test_the_detector_is_part_of_the_pipeline() -> None:
    flows = frame(missed(60))
    soma: Any = compose().soma
    soma.detect(ins.records.FlowBatch(flows), None)
    assert "dga" in {each.detector for each in soma.finish()}
