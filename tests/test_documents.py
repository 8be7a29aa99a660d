from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from infraspectre.documents import read_json, read_yaml
from infraspectre.errors import InputError


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    kind: str


class Outer(msgspec.Struct, forbid_unknown_fields=True):
    steps: list[Inner]


def read(path: Path, text: str) -> Outer:
    path.write_text(text, encoding="utf-8")
    return read_yaml(path, Outer)


def test_a_right_file_is_read(tmp_path: Path) -> None:
    assert read(tmp_path / "a.yaml", "steps:\n- kind: x\n") == Outer([Inner("x")])


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("steps:\n- kind: x\n- kind: 3\n", 3, "Expected `str`"),
        ("steps:\n- kind: x\n- kind: y\n  other: 1\n", 4, "unknown field"),
        ("steps:\n- kind: x\n  kind: y\n", 3, "'kind' is written twice"),
        ("steps:\n  - kind: [\n", 3, "did not find|expected"),
        ("steps: [&a {kind: x}, *a]\n", 1, "aliases"),
        ("steps: 2026-02-31\n", None, "day is out of range"),
        ("steps: !!timestamp x\n", None, "not valid YAML"),
        ("steps: !!bool x\n", None, "not valid YAML"),
        ("steps: []\n---\nsteps: []\n", 3, "more than one document"),
        ("", 1, "Expected"),
        ("steps: " + "[" * 50_000, 1, "nested deeper"),
    ],
)
def test_errors_name_file_and_line(tmp_path: Path, text: str, line: int | None, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        read(tmp_path / "a.yaml", text)
    assert (caught.value.path, caught.value.line) == (str(tmp_path / "a.yaml"), line)


def test_missing_and_binary_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"missing\.yaml: cannot be read"):
        read_yaml(tmp_path / "missing.yaml", Outer)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not UTF-8"):
        read_yaml(tmp_path / "binary.yaml", Outer)


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="larger than"):
        read(tmp_path / "a.yaml", "#" * (1 << 21))


def test_json_without_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[" * 100_000)
    with pytest.raises(InputError, match="nested too deep"):
        read_json(tmp_path / "a.json")
