from __future__ import annotations

import pytest

from infraspectre.errors import InputError
from infraspectre.records.flow_batches import NAME, FlowEnvelope, decode, encode

ENVELOPE = FlowEnvelope("default", "probe", "ab", 3, 2, 5, 7, missing=1, lost={"shed": 4})


def test_an_entry_comes_back_as_it_was() -> None:
    envelope, payload = decode(encode(ENVELOPE, b"flows"))
    assert envelope == ENVELOPE
    assert bytes(payload) == b"flows"


@pytest.mark.parametrize("cut", range(40))
def test_an_entry_that_is_cut_off_is_none(cut: int) -> None:
    with pytest.raises(InputError):
        decode(encode(ENVELOPE, b"")[:cut])


def test_another_version_is_none() -> None:
    with pytest.raises(InputError, match="no batch"):
        decode(b"ISF\x02" + encode(ENVELOPE, b"")[4:])


@pytest.mark.parametrize(
    ("name", "is_name"),
    [("probe", True), ("p", True), ("a.b-c", True), ("", False), ("A", False), ("-a", False), ("a-", False),
     ("a/b", False), ("a:b", False), ("a" * 63, True), ("a" * 64, False), ("a\n", False)],
)  # fmt: skip
def test_names(name: str, is_name: bool) -> None:
    assert bool(NAME.match(name)) is is_name
