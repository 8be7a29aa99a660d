"""Archives from elsewhere: what is taken out of them, and what is refused."""

from __future__ import annotations

import gzip
import tarfile
import zipfile
from io import BytesIO
from pathlib import PurePosixPath

import pytest

from infraspectre.adapters.rules import archives
from infraspectre.adapters.rules.archives import unpacked
from infraspectre.errors import InputError

FILES = {"rules/a.rules": b"alert", "rules/classification.config": b"config", "rules/LICENSE": b"free"}
PASSED_OVER = {"rules/setup.py": b"import os", "rules/.a.rules": b"", "infraspectre-rules.yaml": b"decisions: []"}
EXPECTED = {PurePosixPath(name): data for name, data in FILES.items()}


def tar(files: dict[str, bytes], *links: str) -> bytes:
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, BytesIO(data))
        for name in links:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(member)
    return buffer.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data",
    [tar(FILES | PASSED_OVER, "link.rules"), gzip.compress(tar(FILES | PASSED_OVER)), zipped(FILES | PASSED_OVER)],
    ids=["tar", "tar.gz", "zip"],
)
def test_what_rules_need_is_taken_out(data: bytes) -> None:
    assert unpacked(data, "set") == EXPECTED


def test_what_is_no_archive_is_a_rule_file() -> None:
    assert unpacked(gzip.compress(b"alert"), "https://x.example/emerging.rules.gz") == {
        PurePosixPath("emerging.rules"): b"alert"
    }


@pytest.mark.parametrize("name", ["../a.rules", "/etc/a.rules", "a/../../b.rules", "..\\a.rules"])
@pytest.mark.parametrize("pack", [tar, zipped])
def test_a_name_that_leads_elsewhere_is_refused(name: str, pack: object) -> None:
    assert callable(pack)
    with pytest.raises(InputError, match="set: holds a name that leads elsewhere"):
        unpacked(pack({name: b"alert"}), "set")


@pytest.mark.parametrize(
    "data",
    [gzip.compress(tar(FILES))[:-20], zipped(FILES)[:-30], tar({"a.rules": bytes(5_000)})[:2_000]],
    ids=["gzip", "zip", "tar"],
)
def test_a_broken_archive_is_named(data: bytes) -> None:
    with pytest.raises(InputError, match="set: "):
        unpacked(data, "set")


@pytest.mark.parametrize("pack", [tar, zipped, lambda files: gzip.compress(tar(files))])
def test_an_archive_that_grows_beyond_the_bound_is_refused(pack: object, monkeypatch: pytest.MonkeyPatch) -> None:
    assert callable(pack)
    monkeypatch.setattr(archives, "MOST_BYTES", 50_000)
    with pytest.raises(InputError, match=r"more than .* bytes"):
        unpacked(pack({"a.rules": bytes(60_000)}), "set")


def test_an_archive_of_too_many_files_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_MEMBERS", 3)
    with pytest.raises(InputError, match="more than 3 files"):
        unpacked(zipped({f"{n}.txt": b"" for n in range(4)}), "set")
