"""What tests share: a tiny capture, and the folder of real data where there is one."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from signature_fakes import use_fakes

PCAP_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
# Ethernet, IPv4 10.0.0.1 -> 10.0.0.2, UDP 40000 -> 9, four bytes of payload; checksums are left to the reader's mercy.
FRAME = bytes.fromhex("0200000000020200000000010800") + bytes.fromhex(
    "4500002000010000401166ca0a0000010a0000029c400009000c000074657374"
)

SAMPLE = Path(__file__).parents[1] / "examples" / "sample.pcap.gz"


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """A capture of one packet."""
    path = tmp_path / "one.pcap"
    path.write_bytes(PCAP_HEADER + struct.pack("<IIII", 1_700_000_000, 0, len(FRAME), len(FRAME)) + FRAME)
    return path


@pytest.fixture
def fake_signatures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the doubles in place of the core's signatures."""
    use_fakes(monkeypatch)


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real captures and logs."""
    folder = os.environ.get("INFRASPECTRE_TEST_DATA", "")
    if not folder or not Path(folder, "net").is_dir():
        pytest.skip("INFRASPECTRE_TEST_DATA names no folder with net/; tests on real data are skipped")
    return Path(folder)


@pytest.fixture(scope="session")
def analyzed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an analysis of the bundled capture wrote; nothing may be changed in it."""
    import infraspectre

    folder = tmp_path_factory.mktemp("analyzed")
    infraspectre.analyze(SAMPLE, out=folder)
    return folder
