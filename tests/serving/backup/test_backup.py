"""A platform is copied while it works, and what is made out of the copy goes on as if nothing had happened."""

from __future__ import annotations

import errno
import gzip
import io
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from infraspectre.errors import InputError, OutputError, UsageError
from infraspectre.logbook import verify as verify_log
from infraspectre.records.collections import INCIDENTS
from infraspectre.records.feed import FEED_TOPIC, FLOWS_TOPIC
from infraspectre.records.flow_batches import decode
from infraspectre.records.queries import Query
from infraspectre.serving.backup import back_up, restore
from infraspectre.serving.backup.archive import SIGNATURE, examine
from infraspectre.serving.backup.snapshot import STAGE, Stage, alone
from infraspectre.serving.opening import RESTORING, close_platform, data_folder, open_platform
from infraspectre.serving.platform import Platform
from infraspectre.serving.worker import Worker
from infraspectre.settings import DataSettings, DetectionSettings, ModelSettings, Settings, StoreSettings
from infraspectre.storebook import verify as verify_records
from serving_fakes import compose, deliver, drain, entry, sample_flows

SIZE = 5


def settings(folder: Path) -> Settings:
    detection = DetectionSettings(checkpoint_s=0.3, patience_s=0.01, grace_s=86_400)
    models = ModelSettings(registry=str(folder / "registry"))
    return Settings(data=DataSettings(str(folder)), detection=detection, models=models)


def opened(folder: Path) -> Platform:
    return open_platform(settings(folder))


class Load(threading.Thread):
    """Gives a platform flows a few at a time, and works on them."""

    def __init__(self, platform: Platform, flows: pl.DataFrame) -> None:
        super().__init__()
        self.platform, self.flows, self.is_over = platform, flows, threading.Event()
        self.begun = threading.Event()
        self.problem: BaseException | None = None

    def run(self) -> None:
        try:
            self.work()
        except BaseException as problem:  # noqa: BLE001  shown by the test
            self.problem = problem

    def work(self) -> None:
        worker = Worker(self.platform, compose, data_folder(self.platform.settings) / "worker")
        for number in range(len(self.flows) // SIZE):
            if self.is_over.is_set():
                break
            self.platform.log.topic(FLOWS_TOPIC).append(
                [entry(self.flows[number * SIZE : (number + 1) * SIZE], number)]
            ).result()
            worker.step()
            if number % 8 == 4:
                self.platform.tables.compact("default", "flows")
            if number == 12:
                self.begun.set()
        drain(worker)
        worker.close()


def sent(platform: Platform) -> int:
    topic = platform.log.topic(FLOWS_TOPIC)
    return sum(decode(each.data)[0].rows for each in topic.read(0, 100_000))


def column(platform: Platform, table: str, name: str) -> list[Any]:
    frames = list(platform.tables.scan("default", table, 0, 1 << 62, [name]))
    return [value for frame in frames for value in frame[name].to_list()]


def events(platform: Platform, kind: str) -> list[str]:
    found = [msgspec.json.decode(each.data) for each in platform.log.topic(FEED_TOPIC).read(0, 100_000)]
    return [each["subject"] for each in found if each["kind"] == kind]


def test_copies_under_load_go_on_with_nothing_doubled_and_nothing_left_out(tmp_path: Path) -> None:
    platform = opened(tmp_path / "one")
    load = Load(platform, sample_flows())
    load.start()
    load.begun.wait(60)
    copies = [tmp_path / f"{number}.backup" for number in range(2)]
    for copy in copies:
        assert load.is_alive()
        back_up(settings(tmp_path / "one"), copy)
    load.is_over.set()
    load.join(60)
    close_platform(platform)
    assert load.problem is None
    assert not list((tmp_path / "one").rglob(STAGE))
    for copy in copies:
        check_goes_on(copy, copy.with_suffix(".restored"))


def check_goes_on(copy: Path, folder: Path) -> None:
    """Restore a copy, let its worker do what waits, and compare what there is with what the log took."""
    restore(copy, folder, key_of(copy))
    assert all(each.is_sound for each in verify_log(folder / "log", None, None, None))
    assert verify_records(folder / "store" / "records.sqlite") == []
    platform = opened(folder)
    worker = Worker(platform, compose, folder / "worker")
    drain(worker)
    worker.close()
    flows, detections = column(platform, "flows", "flow_id"), column(platform, "detections", "detection_id")
    assert len(flows) == len(set(flows)) == sent(platform) > 50
    assert len(detections) == len(set(detections))
    assert sorted(events(platform, "detection.found")) == sorted(detections)
    raised = events(platform, "incident.raised")
    assert sorted(raised) == sorted({row.key for row in platform.records.page("default", INCIDENTS, Query()).rows})
    close_platform(platform)


def key_of(copy: Path) -> Path:
    """Return the public key of the platform that was copied."""
    return copy.parent / "one" / "log" / "keys" / "signing.pem.pub"


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the backup of a platform at rest, beside its folder `one`."""
    folder = tmp_path_factory.mktemp("copied")
    platform = opened(folder / "one")
    deliver(platform.log, sample_flows())  # type: ignore[arg-type]
    worker = Worker(platform, compose, folder / "one" / "worker")
    drain(worker)
    worker.close()
    platform.records.put("default", INCIDENTS, "verdict-kept", {"verdict": "true_positive"})
    close_platform(platform)
    (folder / "one" / "registry").mkdir()
    (folder / "one" / "registry" / "names.json").write_text("{}")
    back_up(settings(folder / "one"), folder / "a.backup")
    return folder / "a.backup"


def test_everything_that_lasts_is_there_again(copied: Path, tmp_path: Path) -> None:
    assert copied.stat().st_mode & 0o077 == 0
    manifest = restore(copied, tmp_path / "two")
    names = {each.name for each in manifest.files}
    assert {"token.key", "registry/names.json", "worker/checkpoint", "log/keys/signing.pem"} <= names
    assert "serve.lock" not in names
    one = copied.with_name("one")
    for name in names - {"store/records.sqlite"}:
        path = tmp_path / "two" / name
        assert path.read_bytes() == (one / name).read_bytes()[: path.stat().st_size]
        assert path.stat().st_mode & 0o077 == 0
    platform = opened(tmp_path / "two")
    kept = platform.records.get("default", INCIDENTS, "verdict-kept")
    assert kept
    assert msgspec.json.decode(kept.body)["verdict"] == "true_positive"
    close_platform(platform)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_cut_file_changes_nothing(copied: Path, tmp_path: Path, share: float) -> None:
    data = copied.read_bytes()
    (tmp_path / "cut").write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InputError, match="cut"):
        restore(tmp_path / "cut", tmp_path / "two")
    assert not (tmp_path / "two").exists()


def test_a_flipped_bit_is_found_or_changes_nothing(copied: Path, tmp_path: Path) -> None:
    """A few bits between the blocks of a deflate stream say nothing (RFC 1951, section 3.2.4)."""
    data, whole = copied.read_bytes(), examine(copied)
    places = [*range(10, len(data), len(data) // 25), len(data) - 1]
    found = 0
    for place in places:
        flipped = bytearray(data)
        flipped[place] ^= 0x10
        (tmp_path / "flipped").write_bytes(flipped)
        try:
            assert restore(tmp_path / "flipped", tmp_path / f"restored{place}") == whole
        except InputError:
            found += 1
            assert not (tmp_path / f"restored{place}").exists()
    assert found >= len(places) - 2


def members_of(copied: Path) -> list[tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(copied) as archive:
        return [(each, archive.extractfile(each).read()) for each in archive]  # type: ignore[union-attr]


def rewritten(path: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    with gzip.open(path, "wb", 1) as file, tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for info, data in members:
            info.size = len(data) if info.isreg() else 0
            archive.addfile(info, io.BytesIO(data))
    return path


Change = Callable[[list[tuple[tarfile.TarInfo, bytes]]], None]


def renamed(name: str) -> Change:
    def change(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        members[3][0].name = name

    return change


def linked(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    members[3][0].type, members[3][0].linkname = tarfile.SYMTYPE, "/etc/passwd"


def replaced(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    members[3] = members[3][0], b"other"


def doubled(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    members.insert(3, members[3])


def left_out(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    del members[3]


def unsigned(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    assert members.pop()[0].name == SIGNATURE


def newer(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    members[0] = members[0][0], members[0][1].replace(b'"format":1', b'"format":2')


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (renamed("../outside"), "not allowed"),
        (renamed("/etc/outside"), "not allowed"),
        (renamed("store/../../outside"), "not allowed"),
        (renamed("store//outside"), "not allowed"),
        (renamed("./outside"), "not allowed"),
        (renamed("outside"), "does not hold what its manifest says"),
        (linked, "no plain file"),
        (replaced, "does not hold what its manifest says"),
        (doubled, "twice"),
        (left_out, "does not hold what its manifest says"),
        (unsigned, "no backup, or not a whole one"),
        (newer, "newer version"),
    ],
)
def test_a_file_that_somebody_changed_is_refused(copied: Path, tmp_path: Path, change: Change, problem: str) -> None:
    members = members_of(copied)
    change(members)
    other = rewritten(tmp_path / "other", members)
    with pytest.raises(InputError, match=problem):
        restore(other, tmp_path / "two")
    assert {each.name for each in tmp_path.iterdir()} == {"other"}


def test_archives_are_those_that_tar_writes(copied: Path, tmp_path: Path) -> None:
    other = rewritten(tmp_path / "other", members_of(copied))
    assert examine(other) == examine(copied)


def test_another_key_is_refused(copied: Path, tmp_path: Path) -> None:
    from infraspectre.adapters.signing import make_key

    key = make_key(tmp_path / "stranger.pem")
    with pytest.raises(InputError, match="not signed by the key"):
        restore(copied, tmp_path / "two", key)


def test_a_folder_that_is_not_empty_stays_as_it_is(copied: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(UsageError, match="is not empty"):
        restore(copied, tmp_path)
    assert [each.read_text() for each in tmp_path.iterdir()] == ["precious"]


def test_an_empty_file_system_is_used(copied: Path, tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    restore(copied, tmp_path)
    assert (tmp_path / "token.key").exists()


def test_a_full_disk_leaves_nothing(copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = [5]

    def full(_: int) -> None:
        left[0] -= 1
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("infraspectre.serving.backup.restoring.os.fsync", full)
    with pytest.raises(OutputError, match=r"No space left.*free some space"):
        restore(copied, tmp_path / "two")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OutputError, match="No space left"):
        back_up(settings(copied.with_name("one")), Path("/dev/full"))
    assert not list(copied.with_name("one").rglob(STAGE))


def test_what_does_not_fit_is_not_begun(copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 10

    monkeypatch.setattr("infraspectre.serving.backup.restoring.shutil.disk_usage", lambda _: Usage)
    with pytest.raises(OutputError, match="has no room"):
        restore(copied, tmp_path / "two")
    assert list(tmp_path.iterdir()) == []


def test_no_platform_starts_on_a_part_of_a_backup(tmp_path: Path) -> None:
    (tmp_path / RESTORING).mkdir()
    with pytest.raises(UsageError, match="a part of a backup"):
        data_folder(settings(tmp_path))


def test_one_copy_at_a_time(copied: Path, tmp_path: Path) -> None:
    one = copied.with_name("one")
    with alone(one), pytest.raises(UsageError, match="copied already"):
        back_up(settings(one), tmp_path / "b")


def test_what_a_killed_copy_left_is_removed(copied: Path, tmp_path: Path) -> None:
    one = copied.with_name("one")
    (one / STAGE).mkdir()
    (one / STAGE / "00000001").write_text("stale")
    manifest = back_up(settings(one), tmp_path / "b")
    assert manifest.files == examine(copied).files
    assert not (one / STAGE).exists()


def test_postgresql_is_left_to_its_own_means(copied: Path, tmp_path: Path) -> None:
    chosen = msgspec.structs.replace(settings(copied.with_name("one")), store=StoreSettings(postgres_file="dsn"))
    with pytest.raises(UsageError, match="pg_dump"):
        back_up(chosen, tmp_path / "b")


def test_a_backup_does_not_lie_in_what_it_copies(copied: Path, tmp_path: Path) -> None:
    one = copied.with_name("one")
    with pytest.raises(UsageError, match="lies in what is copied"):
        back_up(settings(one), one / "b")
    with pytest.raises(InputError, match="holds no platform"):
        back_up(settings(tmp_path / "nothing"), tmp_path / "b")


@pytest.fixture
def grown(tmp_path: Path) -> Iterator[tuple[Stage, Path]]:
    path = tmp_path / "grows"
    path.write_bytes(b"x" * 100_000)
    stage = Stage(tmp_path, "named")
    yield stage, path
    stage.clear()


def test_what_is_added_meanwhile_is_left_out(grown: tuple[Stage, Path]) -> None:
    stage, path = grown
    kept = stage.take(path)
    with path.open("ab") as file:
        file.write(b"later")
    assert kept.stat().st_ino == path.stat().st_ino
    assert [(piece.name, piece.size) for piece in stage.pieces] == [("named/grows", 100_000)]
