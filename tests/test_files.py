from __future__ import annotations

from pathlib import Path

import pytest

from infraspectre.errors import OutputError
from infraspectre.files import make_folder, whole_file, write_whole, writing_to


def test_a_file_has_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with whole_file(path) as file:
        file.write(b"first")
        assert not path.exists()
    assert path.read_bytes() == b"first"
    with pytest.raises(KeyError), whole_file(path) as file:
        file.write(b"second")
        raise KeyError
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"first"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent/file", "No such file or directory; make the folder first"),
        ("file/below", "Not a directory; name a folder"),
        ("n" * 300, "File name too long; choose a shorter name"),
    ],
)
def test_what_cannot_be_written_says_what_to_do(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=message) as failure:
        write_whole(tmp_path / name, b"")
    assert failure.value.path == str(tmp_path / name)


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.symlink_to("/dev/full")
    with pytest.raises(OutputError, match="No space left on device; free some space"):
        write_whole(path, b"bytes")


def test_the_core_tells_the_number_in_its_text_alone() -> None:
    with pytest.raises(OutputError, match=r"^x: cannot be written: Is a directory; name a file"), writing_to(Path("x")):
        raise OSError("Is a directory (os error 21)")


def test_a_folder_for_results(tmp_path: Path) -> None:
    assert make_folder(tmp_path / "a" / "b").is_dir()
    assert make_folder(tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="is a file; name a folder"):
        make_folder(tmp_path / "file")
