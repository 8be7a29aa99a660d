"""Files of rules are found, and known by their outermost keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from infraspectre.intel.rule_files import Kind, files_in, kind_of, yaml_rules


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("rules:\n- title: a\n", "own"),
        ("# title: rules\n\nyara: [a.yar]\ntests: []\n", "own"),
        ("title: a\nlogsource: {}\n", "sigma"),
        ("\ufeff---\ntitle: a\n", "sigma"),
        ("id: a\ncorrelation:\n  rules: [a]\n", "sigma"),
        ('{\n  "id": "a",\n  "detection": {}\n}', None),
        ('{\n  "title": "a",\n  "detection": {}\n}', "sigma"),
        ("{title: a, rules: []}", "sigma"),
        ("title: [torn\n", "sigma"),
        ("{capture: a.pcap, rules: [a.rules]}", "companion"),
        ("decisions:\n- {do: disable, rules: {sid: 1}}\n", "companion"),
        ("services:\n  rules: []\n", None),
        ("titles: a\n", None),
        ("", None),
    ],
)
def test_the_first_known_key_says_the_kind(text: str, kind: Kind | None, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(text, encoding="utf-8")
    assert kind_of(tmp_path / "a.yaml") == kind


def test_what_is_no_text_has_no_kind_and_bytes_of_another_encoding_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "b.yaml").write_bytes(b"author: Ren\xe9\ntitle: b\n")
    assert [kind_of(tmp_path / name) for name in ("a.yaml", "b.yaml", "absent.yaml")] == [None, "sigma", None]


def test_files_come_by_name_and_hidden_ones_and_loops_do_not(tmp_path: Path) -> None:
    for name in ("b/z.yml", "a.yaml", "c.yml", ".d/e.yml", ".f.yml", "g.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("title: a\n")
    (tmp_path / "b" / "again").symlink_to(tmp_path)
    found = [tmp_path / name for name in ("a.yaml", "b/z.yml", "c.yml")]
    assert list(files_in(tmp_path, (".yaml", ".yml"))) == found
    assert yaml_rules(tmp_path, "sigma") == found
    assert yaml_rules(tmp_path, "own") == yaml_rules(tmp_path / "g.txt", "sigma") == []
