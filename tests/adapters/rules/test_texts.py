"""Rules as text: where they stand, what they say about themselves, and what is none."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infraspectre.adapters.rules.texts import rule_text, rule_texts
from infraspectre.errors import InputError
from infraspectre.records.signatures import Signature
from rule_lines import rule

FULL = (
    r'alert http any any -> any 80 (msg:"ET a\; b (c)"; content:"sid:9\; x"; pcre:"/\;sid:8\;/"; gid:3; sid:2010665; '
    "rev:7; classtype:trojan-activity; metadata:tag A, tag B, confidence High; metadata:deployment Perimeter;)"
)


def rules_in(path: Path, text: str) -> list[Signature]:
    path.write_text(text)
    return [found.signature for found in rule_texts(path)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "a.rules"


def test_a_rule_says_who_it_is(file: Path) -> None:
    (found,) = rules_in(file, f"\n{FULL}\n")
    assert found == Signature(
        path=str(file),
        line=2,
        gid=3,
        sid=2010665,
        rev=7,
        action="alert",
        msg="ET a; b (c)",
        classtype="trojan-activity",
        metadata={"tag": ["A", "B"], "confidence": ["High"], "deployment": ["Perimeter"]},
        is_enabled=True,
    )


def test_a_rule_behind_a_number_sign_is_disabled_and_a_remark_is_no_rule(file: Path) -> None:
    text = f"# about alert (sid:1)\n#{rule(1)}\n# # {rule(2)}\n{rule(3)}\nalert me (of sid)\n"
    assert [(found.sid, found.is_enabled) for found in rules_in(file, text)] == [(1, False), (2, False), (3, True)]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_backslash_continues_a_line(file: Path, end: str) -> None:
    lines = ["alert tcp any any -> any any ( \\", '  msg:"two lines"; \\', "  sid:5; rev:2;)", rule(6)]
    file.write_bytes(end.join(lines).encode())
    first, second = rule_texts(file)
    assert (first.signature.msg, first.signature.line, first.last_line) == ("two lines", 1, 3)
    assert (second.signature.sid, second.signature.line) == (6, 4)


def test_packed_files_are_unpacked(file: Path) -> None:
    file.write_bytes(gzip.compress(rule(4).encode()))
    assert [found.signature.sid for found in rule_texts(file)] == [4]
    file.write_bytes(gzip.compress(rule(4).encode())[:-9])
    with pytest.raises(InputError, match=r"a\.rules: cannot be read"):
        list(rule_texts(file))


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet='alert #();:\\"sidmetadata,1\n\u2028é', max_size=200))
def test_any_text_is_read(text: str) -> None:
    lines = f"alert ip any any -> any any (msg:{text};sid:1;)".split("\n")
    for found in rule_text(Path("a.rules"), lines, len(lines)):
        assert found.signature.line == 1


def test_emerging_threats_are_read_whole(data: Path) -> None:
    path = data / "net" / "rules" / "et-open-2019-04" / "et-clean.rules"
    expected = sum(line.startswith(b"alert") for line in path.read_bytes().splitlines())
    assert sum(1 for _ in rule_texts(path)) == expected > 18_000
