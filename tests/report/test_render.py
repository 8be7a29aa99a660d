from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest

from findings import START, correlated, finding
from infraspectre.errors import OutputError
from infraspectre.intel.assets import Assets
from infraspectre.records import Asset, Decision, Detection, Evidence, Summary
from infraspectre.reflex import Reflex
from infraspectre.report import FlowStatistics, render

HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7 * 7 }}</style>&\u202e\x00\ud800"

STATS = FlowStatistics()
STATS.add(
    pl.DataFrame(
        {
            "orig_ip": ["10.0.1.5", "10.0.2.5", "2001:db8::1", HOSTILE.encode("utf-8", "replace").decode()],
            "resp_ip": ["198.51.100.1", "10.0.1.5", "10.0.1.5", "10.0.1.5"],
            "protocol": ["tcp", "udp", "tcp", "<b>"],
            "app_protocol": ["tls", "dns", None, "<i>"],
            "started_at": [START, START, START + 10**12, None],
            "ended_at": [START, START + 1, START + 10**12, None],
            "orig_bytes": [10, 20, 30, 40],
            "resp_bytes": [1000, 10, 0, 9],
        }
    )
)


def summary(**more: object) -> Summary:
    fields: dict[str, object] = dict.fromkeys(Summary.__struct_fields__, 1) | {
        "without_flow": {},
        "malformed": {},
        "unreadable": {},
        "shed": {},
    }
    fields |= {"packets": 10, "capture_start": None, "capture_end": None, "version": "1"}
    return Summary(**{**fields, **more})  # type: ignore[arg-type]


def decided(detections: list[Detection], assets: Assets | None = None) -> list[Decision]:
    return [Reflex().decide(each) for each in correlated(detections, assets)]


class Page(HTMLParser):
    """Collects what a page holds."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in {"meta", "link", "br", "img"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.attributes if key == name]


def page(tmp_path: Path, decisions: list[Decision], detections: list[Detection], **more: object) -> tuple[str, Page]:
    render(summary(**more), decisions, detections, STATS, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    return text, Page(text)


def chain(shift: int) -> list[Detection]:
    victim = f"10.0.{shift}.5"
    return [
        finding(shift * 10, f"192.0.2.{shift}", victim, at=shift * 50),
        finding(shift * 10 + 1, victim, f"198.51.100.{shift}", category="remote_execution", at=shift * 50 + 60),
    ]


@pytest.mark.parametrize("number", [0, 1, 30])
def test_pages_are_whole_and_refer_to_nothing_outside(tmp_path: Path, number: int) -> None:
    detections = [each for shift in range(number) for each in chain(shift)]
    text, parsed = page(tmp_path, decided(detections), detections)
    assert parsed.open == []
    assert parsed.tags.count("article") == number
    assert not re.search(r"https?://|@import|url\((?!#)|srcset|<iframe|<object|<embed", text)
    assert set(parsed.values("src")) == set()
    identities = parsed.values("id")
    assert len(identities) == len(set(identities))
    links = [value for value in parsed.values("href") if value != "data:,"]
    assert {link[1:] for link in links} <= set(identities)
    assert all(link.startswith("#") for link in links)


def test_hostile_texts_are_escaped(tmp_path: Path) -> None:
    evidence = Evidence(HOSTILE, {HOSTILE: float("nan")}, {HOSTILE: float("inf")}, [1], [HOSTILE])
    hostile = finding(
        1, HOSTILE, "10.0.0.5", category=HOSTILE, detector=HOSTILE, techniques=(HOSTILE,), evidence=evidence
    )
    decisions = decided([hostile], Assets([Asset("10.0.0.5", HOSTILE, HOSTILE, "high")]))
    calm, _ = page(tmp_path, [], [])
    text, parsed = page(tmp_path, decisions, [hostile], malformed={HOSTILE: 3}, unreadable={HOSTILE: HOSTILE})
    assert parsed.open == []
    assert text.count("<script") == calm.count("<script") == 1
    assert "img" not in parsed.tags
    assert not any(name.startswith("on") for name, _ in parsed.attributes)
    assert "{{ 7 * 7 }}" in text
    assert not {"\u202e", "\x00"} & set(text)
    assert "\\u202e\\x00" in text


def test_sentences_link_to_evidence_rows(tmp_path: Path) -> None:
    detections = chain(1)
    text, parsed = page(tmp_path, decided(detections), detections)
    for each in detections:
        assert f"evidence-{each.detection_id}" in parsed.values("id")
        assert f'href="#evidence-{each.detection_id}"' in text
        assert f"flows {each.flow_ids[0]}" in text


def test_losses_are_shown(tmp_path: Path) -> None:
    text, _ = page(
        tmp_path,
        [],
        [],
        without_flow={"link-type": 77},
        malformed={"ip_bad_length": 1234},
        shed={"payload": 5},
        unreadable={"b.pcap": "torn"},
    )
    assert "1,239" in text
    for words in ("link-type", "77", "ip_bad_length", "1,234", "payload", "b.pcap", "torn"):
        assert words in text


def test_the_ranking_is_by_score(tmp_path: Path) -> None:
    detections = [finding(1, "a", "b", severity="low"), finding(2, "c", "d", severity="high")]
    text, _ = page(tmp_path, decided(detections), detections)
    assert (
        text.index('id="incident-1"') < text.index("Port scan of d by c</h3>") < text.index("Port scan of b by a</h3>")
    )


def test_two_runs_write_the_same_bytes(tmp_path: Path) -> None:
    detections = chain(3)
    first, _ = page(tmp_path, decided(detections), detections)
    second, _ = page(tmp_path, decided(detections), detections)
    assert first == second


def test_an_empty_run_makes_a_page(tmp_path: Path) -> None:
    render(summary(flows=0, packets=0), [], [], FlowStatistics(), tmp_path / "report.html")
    assert "No incident found" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_report_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"missing/report\.html: cannot be written"):
        render(summary(), [], [], FlowStatistics(), tmp_path / "missing" / "report.html")


def test_a_full_disk_says_what_to_do(tmp_path: Path) -> None:
    full = tmp_path / "report.html"
    full.symlink_to("/dev/full")
    with pytest.raises(OutputError, match=r"report\.html: cannot be written: No space left on device; free some space"):
        render(summary(), [], [], FlowStatistics(), full)


def test_the_span_is_that_of_the_input(tmp_path: Path) -> None:
    times = {"capture_start": "2026-01-05T08:00:00.000000Z", "capture_end": "2026-01-05T08:08:25.615141Z"}
    assert "<dd>8 min 25 s</dd>" in page(tmp_path, [], [], **times)[0]
    assert "<dd>unknown</dd>" in page(tmp_path, [], [])[0]


def test_alerts_of_other_engines_are_mentioned(tmp_path: Path) -> None:
    assert "Alerts in the input" in page(tmp_path, [], [], alerts=3)[0]
    assert "Alerts in the input" not in page(tmp_path, [], [], alerts=0)[0]
