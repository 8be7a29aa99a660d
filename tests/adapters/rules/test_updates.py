"""Updates of rule sets: checked, replaced at once, and without harm where they fail."""

from __future__ import annotations

import hashlib
import http.server
import threading
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from infraspectre.adapters.rules import updates
from infraspectre.adapters.rules.files import rule_files
from infraspectre.adapters.rules.updates import RuleSource, download, read_sources, update
from infraspectre.errors import InputError
from rule_lines import rule

URL = "https://rules.example/set.zip?key=1"


def archive(*sids: int) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(zipfile.ZipInfo("rules/a.rules"), "".join(f"{rule(sid)}\n" for sid in sids))
    return buffer.getvalue()


def web(data: bytes) -> RuleSource:
    return RuleSource("web", url=URL, sha256=hashlib.sha256(data).hexdigest())


def sids_in(folder: Path) -> list[str]:
    return [line.partition("sid:")[2][:1] for file in rule_files([folder]) for line in file.read_text().splitlines()]


def test_a_set_is_fetched_once_and_replaced_when_it_changes(tmp_path: Path) -> None:
    for data, status, sids in (
        (archive(1), "updated", ["1"]),
        (archive(1), "unchanged", ["1"]),
        (archive(1, 2), "updated", ["1", "2"]),
        (archive(3), "updated", ["3"]),
        (archive(1, 2), "updated", ["1", "2"]),
    ):
        done = update(web(data), tmp_path, tmp_path / "out", lambda _, data=data: data)  # type: ignore[misc]
        assert (done.status, done.rules, done.problem) == (status, len(sids), "")
        assert sids_in(tmp_path / "out") == sids
    kept = sorted(path.name.partition("-")[0] for path in (tmp_path / "out" / ".sets").iterdir())
    assert kept == ["web", "web"]


def refuse(_: str) -> bytes:
    raise InputError("cannot be fetched", path=URL)


@pytest.mark.parametrize(
    ("expected", "fetched", "problem"),
    [
        (archive(2), archive(9), "has the checksum"),
        (archive(), archive(), "holds no rules"),
        (b"PK\x03\x04", b"PK\x03\x04", "cannot be unpacked"),
        (b"", None, "cannot be fetched"),
    ],
    ids=["checksum", "empty", "broken", "away"],
)
def test_after_a_failure_the_set_in_use_stays(
    tmp_path: Path, expected: bytes, fetched: bytes | None, problem: str
) -> None:
    update(web(archive(1)), tmp_path, tmp_path / "out", lambda _: archive(1))
    done = update(web(expected), tmp_path, tmp_path / "out", refuse if fetched is None else lambda _: fetched)
    assert done.status == "failed"
    assert problem in done.problem
    assert sids_in(tmp_path / "out") == ["1"]
    assert len(list((tmp_path / "out" / ".sets").iterdir())) == 1


def test_a_folder_is_a_source(tmp_path: Path) -> None:
    place = tmp_path / "site"
    (place / "below").mkdir(parents=True)
    (place / "below" / "a.rules").write_text(rule(1))
    (place / "secret.yaml").touch()
    source = RuleSource("site", path="site")
    assert update(source, tmp_path, tmp_path / "out").status == "updated"
    assert update(source, tmp_path, tmp_path / "out").status == "unchanged"
    assert [file.name for file in (tmp_path / "out" / "site").rglob("*") if file.is_file()] == ["a.rules"]
    done = update(RuleSource("site", path="absent"), tmp_path, tmp_path / "out")
    assert "absent: cannot be read: No such file" in done.problem


def test_what_an_update_did_not_make_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out" / "web").mkdir(parents=True)
    done = update(web(archive(1)), tmp_path, tmp_path / "out", lambda _: archive(1))
    assert "was not made by an update" in done.problem
    assert list((tmp_path / "out" / "web").iterdir()) == []


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("{name: a}", "needs either url or path"),
        ("{name: a, path: b, url: 'https://c'}", "needs either url or path"),
        ("{name: a, url: 'http://c', sha256: 0}", "Expected `str | null`"),
        ("{name: a, url: 'http://c'}", "does not begin with https://"),
        ("{name: a, url: 'https://c'}", "needs the sha256"),
        ("{name: a, url: 'https://c', sha256: abc}", "not 64 hexadecimal digits"),
        ("{name: ../a, path: b}", "not made of letters"),
        ("{name: a, path: b, branch: c}", "unknown field `branch`"),
    ],
)
def test_a_wrong_source_is_named_by_file_and_line(tmp_path: Path, source: str, problem: str) -> None:
    path = tmp_path / "sources.yaml"
    path.write_text(f"sources:\n- {{name: ok, path: ok}}\n- {source}\n")
    with pytest.raises(InputError, match=r"sources\.yaml:3: ") as raised:
        read_sources(path)
    assert problem in str(raised.value)


def test_two_sources_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "sources.yaml"
    path.write_text("sources: [{name: a, path: b}, {name: a, path: c}]")
    with pytest.raises(InputError, match="the same name"):
        read_sources(path)


@pytest.fixture
def plain_server() -> Iterator[str]:
    """Serve without encryption; a request would be answered."""
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_only_https_is_spoken(plain_server: str, tmp_path: Path) -> None:
    for url in (plain_server, (tmp_path / "x").as_uri(), plain_server.replace("http", "https")):
        with pytest.raises(InputError, match="cannot be fetched"):
            download(url)


def test_a_download_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless:
        def open(self, url: str, timeout: float) -> BytesIO:
            return BytesIO(bytes(5 * updates.BLOCK_BYTES))

    monkeypatch.setattr(updates, "https_only", Endless)
    assert len(download("https://x")) == 5 * updates.BLOCK_BYTES
    monkeypatch.setattr(updates, "MOST_BYTES", 3 * updates.BLOCK_BYTES)
    with pytest.raises(InputError, match="gives more than"):
        download("https://x")
