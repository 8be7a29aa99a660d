from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from infraspectre.capture import InputKind, classify, classify_all
from infraspectre.errors import InputError, UsageError

CONTENTS = {
    InputKind.CAPTURE: b"\xd4\xc3\xb2\xa1" + bytes(20),
    InputKind.ZEEK: b"#separator \\x09\n",
    InputKind.EVE: b'{"timestamp":"2026-01-01T00:00:00+0000","event_type":"dns"}\n',
    InputKind.FLOW_CSV: b" Destination Port, Flow Duration, Total Fwd Packets\n80,1,2\n",
}


@pytest.mark.parametrize("kind", CONTENTS)
@pytest.mark.parametrize("packed", [False, True])
def test_content_decides_not_the_name(tmp_path: Path, kind: InputKind, packed: bool) -> None:
    path = tmp_path / "misleading.txt"
    path.write_bytes(gzip.compress(CONTENTS[kind]) if packed else CONTENTS[kind])
    assert classify(str(path)) is kind


def test_folders_and_stdin(tmp_path: Path) -> None:
    (tmp_path / "x.pcap").write_bytes(CONTENTS[InputKind.CAPTURE])
    assert classify(str(tmp_path)) is InputKind.CAPTURE
    (tmp_path / "conn.log.gz").write_bytes(b"")
    assert classify(str(tmp_path)) is InputKind.ZEEK
    assert classify("-") is InputKind.CAPTURE


@pytest.mark.parametrize(
    "content",
    [b"", b"hello\n", b"{}\n", gzip.compress(b"hello"), b"\x1f\x8bbroken"],
    ids=["empty", "text", "json", "packed", "broken"],
)
def test_other_content_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "capture.pcap"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"capture\.pcap: is"):
        classify(str(path))


def test_missing_empty_and_mixed_inputs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="absent: cannot be opened: No such file"):
        classify(str(tmp_path / "absent"))
    with pytest.raises(InputError, match="is an empty folder"):
        classify(str(tmp_path))
    (tmp_path / "eve.json").write_bytes(CONTENTS[InputKind.EVE])
    with pytest.raises(UsageError, match="inputs of different kinds"):
        classify_all(["-", str(tmp_path / "eve.json")])
    with pytest.raises(UsageError, match="no input given"):
        classify_all([])


def test_a_pipe_is_not_looked_into(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert classify(str(pipe)) is InputKind.CAPTURE
    assert classify("/dev/null") is InputKind.CAPTURE
