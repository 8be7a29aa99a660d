from __future__ import annotations

from pathlib import Path

import pytest

from infraspectre.adapters.suricata_config import MOST_SETTINGS, read_config
from infraspectre.errors import InputError

CONFIG = """%YAML 1.1
---
vars:
  address-groups:
    HOME_NET: "[10.0.0.0/8]"   # ours
stream: {midstream: yes, memcap: 64mb}
action-order: [pass, drop, reject, alert]
outputs:
  - fast:
      enabled: no
  - eve-log:
      types:
        - alert:
        - http: {extended: yes}
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_settings_have_dotted_names_and_the_text_as_written(tmp_path: Path) -> None:
    assert read_config(write(tmp_path / "suricata.yaml", CONFIG)) == {
        "vars.address-groups.HOME_NET": "[10.0.0.0/8]",
        "stream.midstream": "yes",
        "stream.memcap": "64mb",
        "action-order": "pass drop reject alert",
        "outputs.0.fast.enabled": "no",
        "outputs.1.eve-log.types.0.alert": "",
        "outputs.1.eve-log.types.1.http.extended": "yes",
    }


def test_included_files_are_read_in_their_place(tmp_path: Path) -> None:
    write(tmp_path / "base.yaml", "stream: {midstream: no}\nmode: ids\n")
    write(tmp_path / "vars.yaml", "address-groups: {HOME_NET: any}\n")
    path = write(
        tmp_path / "s.yaml", "mode: early\ninclude: [base.yaml]\nvars: !include vars.yaml\nstream: {inline: yes}\n"
    )
    assert read_config(path) == {
        "mode": "ids",
        "stream.midstream": "no",
        "stream.inline": "yes",
        "vars.address-groups.HOME_NET": "any",
    }


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nvars: !include absent.yaml\n", r"s.yaml:2: includes absent.yaml, which is not there"),
        ("include: s.yaml\n", r"s.yaml:1: includes s.yaml, which includes it"),
        ("a: [1\n", r"s.yaml:2: "),
        ("- a\n", r"s.yaml:1: is no mapping"),
        ("a: " + "[" * 40 + "]" * 40, "nested deeper"),
        ("a: &a {x: &x [{y: 1}, {y: 1}]}\n" + "\n".join(f"k{n}: *a" for n in range(MOST_SETTINGS)), "more than"),
    ],
    ids=["absent", "circle", "syntax", "list", "deep", "many"],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        read_config(write(tmp_path / "s.yaml", text))


def test_absent_files_can_be_passed_over(tmp_path: Path) -> None:
    assert read_config(write(tmp_path / "s.yaml", "include: absent.yaml\na: 1\n"), skip_missing=True) == {"a": "1"}
