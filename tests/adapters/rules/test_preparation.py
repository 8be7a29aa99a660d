"""What the engine is told: files as they are, or copies that say what was decided."""

from __future__ import annotations

import gzip
import os
import threading
from pathlib import Path

import pytest

from infraspectre.adapters.rules import files
from infraspectre.adapters.rules.decisions import Decision, Decisions, Selector, write_decisions
from infraspectre.adapters.rules.files import rule_files
from infraspectre.adapters.rules.preparation import prepared, shown_rules
from infraspectre.errors import InputError
from rule_lines import rule


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "below").mkdir()
    (tmp_path / "a.rules").write_text(f"{rule(1)}\n# a remark\n#{rule(2)}\n")
    (tmp_path / "below" / "b.rules").write_text(f"{rule(3)}\n")
    (tmp_path / "below" / "names.lst").write_text("aGk=\n")
    return tmp_path


def decide(folder: Path, *decisions: Decision) -> None:
    write_decisions(folder / "infraspectre-rules.yaml", Decisions(decisions))


def test_a_folder_stands_for_the_rules_in_and_below_it(folder: Path) -> None:
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "c.rules").touch()
    (folder / "below" / "up").symlink_to(folder)
    assert list(rule_files([folder])) == [folder / "a.rules", folder / "below" / "b.rules"]
    assert rule_files([folder, folder / "below" / "b.rules"])[folder / "below" / "b.rules"] == folder


def test_without_decisions_files_are_given_as_they_are(folder: Path) -> None:
    with prepared([folder], {"checksums": "none"}) as ready:
        assert ready.paths == [str(folder / "a.rules"), str(folder / "below" / "b.rules")]
        assert ready.settings["checksums"] == "none"
        assert ready.originals == {}


def test_switched_rules_keep_their_lines(folder: Path) -> None:
    decide(folder, Decision("disable", Selector(sid=1)), Decision("enable", Selector(sid=2)))
    with prepared([folder], {}) as ready:
        copy, untouched = ready.paths
        assert Path(copy).read_text() == f"#{rule(1)}\n# a remark\n{rule(2)}\n"
        assert untouched == str(folder / "below" / "b.rules")
        assert ready.originals == {copy: str(folder / "a.rules")}
    assert not Path(copy).exists()
    assert [(rule.signature.sid, rule.signature.is_enabled) for rule in shown_rules([folder])] == [
        (1, False),
        (2, True),
        (3, True),
    ]


def test_decisions_stand_in_the_folder_that_was_named(folder: Path) -> None:
    decide(folder, Decision("disable", Selector(sid=3)))
    with prepared([folder], {}) as ready:
        (copy,) = ready.originals
        assert (Path(copy).parent / "names.lst").read_text() == "aGk=\n"
    with prepared([folder / "below"], {}) as ready:
        assert ready.originals == {}
    state = folder / "infraspectre-rules.yaml"
    with prepared([folder / "below"], {}, state) as ready:
        assert list(ready.originals.values()) == [str(folder / "below" / "b.rules")]


def test_a_rule_of_many_lines_is_switched_whole(tmp_path: Path) -> None:
    file = tmp_path / "a.rules"
    lines = ["alert tcp any any -> any any ( \\", "  sid:5;)"]
    for before, after, verb in (
        (lines, [f"#{line}" for line in lines], "disable"),
        ([f"#{line}" for line in lines], [line.lstrip() for line in lines], "enable"),
    ):
        file.write_text("\n".join(before))
        decide(tmp_path, Decision(verb, Selector(sid=5)))  # type: ignore[arg-type]
        with prepared([file], {}) as ready:
            assert Path(ready.paths[0]).read_text() == "\n".join(after)


def test_suppressions_are_added_to_the_given_thresholds(folder: Path) -> None:
    decide(folder, Decision("suppress", Selector(file="b.rules")))
    given = folder / "threshold.config"
    given.write_text("suppress gen_id 1, sig_id 9")
    with prepared([folder], {"threshold-file": str(given)}) as ready:
        told = Path(ready.settings["threshold-file"]).read_text().split("\n")
        assert told == ["suppress gen_id 1, sig_id 9", "suppress gen_id 1, sig_id 3", ""]
        assert ready.originals == {ready.settings["threshold-file"]: str(given)}


def test_a_threshold_file_that_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(InputError, match="absent: cannot be read"), prepared([folder], {"threshold-file": "absent"}):
        pass


def test_classes_beside_rules_are_used_unless_others_are_named(folder: Path) -> None:
    with prepared([folder], {}) as ready:
        assert "trojan-activity,Trojan activity,1" in Path(ready.settings["classification-file"]).read_text()
    (folder / "classification.config").touch()
    with prepared([folder / "a.rules"], {}) as ready:
        assert ready.settings == {"classification-file": str(folder / "classification.config")}
    with prepared([folder], {"classification-file": "other"}) as ready:
        assert ready.settings == {"classification-file": "other"}


def test_packed_rules_are_unpacked_for_the_engine(tmp_path: Path) -> None:
    path = tmp_path / "a.rules.gz"
    path.write_bytes(gzip.compress(rule(1).encode()))
    with prepared([tmp_path], {}) as ready:
        assert Path(ready.paths[0]).read_text() == rule(1)
        assert list(ready.originals.values()) == [str(path)]


def test_bytes_that_are_no_text_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "a.rules"
    path.write_bytes(b"# caf\xe9\n" + rule(1).encode())
    decide(tmp_path, Decision("disable", Selector(sid=1)))
    with prepared([path], {}) as ready:
        assert Path(ready.paths[0]).read_bytes() == b"# caf\xe9\n#" + rule(1).encode()


def test_what_can_be_read_only_once_is_read_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(f"{rule(1)}\n{rule(2)}\n",))
    writer.start()
    decide(tmp_path, Decision("disable", Selector(sid=1)))
    with prepared([pipe], {}) as ready:
        assert Path(ready.paths[0]).read_text() == f"#{rule(1)}\n{rule(2)}\n"
        assert list(ready.originals.values()) == [str(pipe)]
    writer.join()


def test_rules_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_BYTES", 1_000)
    with pytest.raises(InputError, match="/dev/zero: is larger than 1000 bytes"), prepared([Path("/dev/zero")], {}):
        pass


def test_decisions_that_were_asked_for_must_be_there(folder: Path) -> None:
    with (
        pytest.raises(InputError, match=r"absent\.yaml: cannot be read"),
        prepared([folder], {}, folder / "absent.yaml"),
    ):
        pass
