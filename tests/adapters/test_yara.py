"""YARA rules: which are used and which refused, what they find in payloads, and within which bounds."""

from __future__ import annotations

import random
import sys
import tarfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow
import pytest

from flow_rows import flow, frame
from infraspectre.adapters.yara import YaraDetector, YaraRules, YaraScanner, YaraSettings, load_yara
from infraspectre.errors import InputError, UsageError
from infraspectre.intel.attack import technique
from infraspectre.records import Detection, FlowBatch
from infraspectre.records.payload import Payload
from infraspectre.soma import Patience, Soma

SECOND = 1_000_000_000
RULES = """
rule Dropper : T1105 downloader {
  meta:
    description = "fetches more"
    mitre_att = "T1059.001, T1059.001 and T9999"
    note = "T1046"
    score = 95
  strings:
    $a = "hello"
  condition:
    $a
}
rule Named { condition: filename == "invoice.exe" and extension == ".exe" and filepath contains "share" }
rule Wrong { strings: $a = "x" condition: $b }
rule Late { condition: uint8(filesize - 1) == 0x21 }
"""


def rules(folder: Path, text: str = RULES) -> YaraRules:
    path = folder / "rules.yar"
    path.write_text(text, encoding="utf-8")
    return load_yara([path])


def payload(chunks: Iterable[bytes], number: int = 1, name: str = "/get?x", resp: str = "203.0.113.9") -> Payload:
    at = number * SECOND
    return Payload(name, "http_body", chunks, number, at, at + 5, "10.0.0.5", resp, packet=10 * number)


def names(found: list[Detection]) -> list[str]:
    return [each.detector for each in found]


def test_a_match_becomes_a_sound_detection(tmp_path: Path) -> None:
    scanner = YaraScanner(rules(tmp_path))
    (found,) = scanner.scan(payload([b"well, he", b"llo there"]))
    assert (found.detector, found.category, found.severity, found.score) == (
        "yara:Dropper",
        "malware_file",
        "critical",
        0.95,
    )
    assert [each.id for each in found.techniques] == ["T1059.001", "T1105"]
    assert found.techniques[0] == technique("T1059.001")
    assert (found.orig, found.resp, found.flow_ids, found.at) == ("10.0.0.5", "203.0.113.9", [1], SECOND + 5)
    assert found.evidence.packets == [10]
    assert found.evidence.examples == ["/get?x"]
    assert found.evidence.summary == (
        "10.0.0.5 and 203.0.113.9 exchanged 1 HTTP payload of 17 bytes "
        "that the YARA rule Dropper (fetches more) matches"
    )


def test_names_of_payloads_are_known_to_rules(tmp_path: Path) -> None:
    scanner = YaraScanner(rules(tmp_path))
    assert names(scanner.scan(payload([b""], name="\\\\server\\share\\invoice.exe"))) == ["yara:Named"]
    assert scanner.scan(payload([b""], name="/share/invoice.pdf")) == []


@pytest.mark.parametrize("name", ["", "a\0b", "\ud800.exe", "/" * 10_000, "..", "\\", "\x1b[2J\n"])
def test_no_name_of_a_payload_does_harm(tmp_path: Path, name: str) -> None:
    (found,) = YaraScanner(rules(tmp_path)).scan(payload([b"hello"], name=name))
    assert all(len(text) <= 4_096 and text.encode() for text in found.evidence.examples)


def test_repetition_is_reported_once_until_it_has_grown(tmp_path: Path) -> None:
    scanner = YaraScanner(rules(tmp_path))
    found = [each for n in range(25) for each in scanner.scan(payload([b"hello"], n))]
    found += scanner.scan(payload([b"hello"], 99, resp="203.0.113.10"))
    assert [each.evidence.measures["payloads"] for each in found] == [1, 10, 1]
    assert [each.evidence.measures["payloads"] for each in scanner.finish()] == [25]


def test_of_a_long_payload_only_the_beginning_is_read(tmp_path: Path) -> None:
    scanner = YaraScanner(rules(tmp_path), YaraSettings(max_bytes=6))
    assert names(scanner.scan(payload([b"he", b"llo!"]))) == ["yara:Dropper", "yara:Late"]
    assert scanner.shed == {}
    pieces = iter([b"12345", b"67", b"never", b"hello"])
    assert scanner.scan(payload(pieces)) == []
    assert list(pieces) == [b"never", b"hello"]
    assert scanner.shed == {"yara_truncated": 1}


class Carried:
    """Gives payloads some at a time."""

    def __init__(self, *rounds: list[Payload]) -> None:
        self._rounds = list(rounds)

    def payloads(self) -> Iterator[Payload]:
        yield from self._rounds.pop(0) if self._rounds else ()


def test_payloads_are_scanned_beside_the_other_detectors(tmp_path: Path) -> None:
    source = Carried([payload([b"hello"], 1)], [payload([b"hello"], 2), payload([b"hello"], 3)])
    soma = Soma([YaraDetector(source, YaraScanner(rules(tmp_path)))], patience=(Patience(1, 0),))
    found = soma.detect(FlowBatch(frame([flow(0), flow(1)])))
    assert [each.flow_ids for each in found] == [[1]]
    assert [each.flow_ids for each in soma.finish()] == [[1, 2, 3]]


def test_a_scan_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    endless = "rule Endless { condition: for all i in (0..100000000000) : (i >= 0 and filesize > 0) }"
    scanner = YaraScanner(rules(tmp_path, endless), YaraSettings(timeout_s=1))
    started = time.monotonic()
    assert scanner.scan(payload([b"x"])) == []
    assert time.monotonic() - started < 5
    assert scanner.shed == {"yara_timeout": 1}


def test_refused_rules_are_named_and_the_others_used(tmp_path: Path) -> None:
    loaded = rules(tmp_path)
    assert loaded.names == ["Dropper", "Named", "Late"]
    (refused,) = loaded.refused
    assert (refused.path, refused.line, refused.rule) == (str(tmp_path / "rules.yar"), 14, "Wrong")
    assert refused.reason == "unknown pattern `$b`: this pattern is not declared in the `strings` section"


def test_folders_are_read_and_files_do_not_meet(tmp_path: Path) -> None:
    for name in ("a.yar", "deep/b.yara"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text('include "/etc/passwd"\nrule Same { condition: filesize == 0 }')
    (tmp_path / "notes.txt").write_text("no rules")
    loaded = load_yara([tmp_path])
    assert loaded.names == ["Same", "Same"]
    assert [(each.line, each.rule) for each in loaded.refused] == [(1, None), (1, None)]
    assert loaded.refused[0].reason.startswith("include statements not allowed")


@pytest.mark.parametrize(
    ("text", "problem"), [("", "there is none"), ("rule A { condition: x }", "unknown identifier `x`")]
)
def test_without_a_rule_left_there_is_an_error(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(InputError, match=rf"rules\.yar.*: no YARA rule can be used: {problem}"):
        rules(tmp_path, text)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.yar: cannot be read"):
        load_yara([tmp_path / "absent.yar"])
    with pytest.raises(InputError, match="holds no YARA rules"):
        load_yara([tmp_path])
    with pytest.raises(InputError, match="absent: cannot be read"):
        YaraScanner(rules(tmp_path)).match_file(tmp_path / "absent")


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yara_x", None)
    with pytest.raises(UsageError, match=r"package yara-x; install it with: pip install 'infraspectre\[yara\]"):
        rules(tmp_path)


def test_broken_rules_are_refused_without_a_crash(tmp_path: Path) -> None:
    source, whole = random.Random(7), RULES.encode()
    for _ in range(300):
        text = bytearray(whole)
        for _ in range(source.randint(1, 12)):
            place = source.randrange(len(text))
            text[place : place + source.randint(0, 9)] = source.randbytes(source.randint(0, 3))
        path = tmp_path / "rules.yar"
        path.write_bytes(text)
        try:
            assert load_yara([path]).names
        except InputError as error:
            assert "no YARA rule can be used" in error.problem


def test_public_rules_are_used(data: Path, tmp_path: Path) -> None:
    packed = data / "intel" / "rules_yara" / "reversinglabs_mit_public.tar.zst"
    if not packed.exists():
        pytest.skip("the test data has no YARA rules")
    with pyarrow.input_stream(packed, compression="zstd") as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
        archive.extractall(tmp_path, filter="data")
    loaded = load_yara([tmp_path])
    assert (len(loaded.names), loaded.refused) == (234, [])
