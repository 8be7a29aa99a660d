from __future__ import annotations

import datetime
import socket
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

from infraspectre.cli import run
from infraspectre.serving import doctor
from infraspectre.serving.supervisor import only_one


def findings(tmp_path: Path, text: str = "") -> dict[str, doctor.Finding]:
    path = tmp_path / "infraspectre.yaml"
    path.write_text(f"data:\n  folder: {tmp_path / 'data'}\nserver:\n  port: 0\n{text}")
    return {each.name: each for each in doctor.examine(path)}


def test_a_sound_machine_passes_and_every_finding_says_what(tmp_path: Path) -> None:
    found = findings(tmp_path)
    assert {each.state for each in found.values()} <= {"ok", "warning"}
    assert all(each.text for each in found.values())
    assert all(each.remedy for each in found.values() if each.state == "warning")
    assert not (tmp_path / "data").exists(), "looking changes nothing"


def test_each_mistake_in_settings_is_a_finding(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("server:\n  port: x\n  hots: 1\n")
    found = [each for each in doctor.examine(path) if each.state == "failed"]
    assert [each.name for each in found] == ["settings", "settings"]
    assert ":3: server.hots" in found[1].text
    assert run(["doctor", "--quiet", "--config", str(path)]) == 1


def test_a_port_in_use_is_found_but_not_one_of_the_platform_itself(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        text = f"sensors: {{listen: true, host: 127.0.0.1, port: {port}}}\n"
        assert findings(tmp_path, text)["port of sensors"].state == "failed"
        (tmp_path / "data").mkdir(mode=0o700)
        with only_one(tmp_path / "data"):
            assert findings(tmp_path, text)["port of sensors"].state == "ok"


def test_folders_and_files_are_looked_at(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o755)
    found = findings(tmp_path, f"detection:\n  rules: [{tmp_path}/absent.yaml]\n")
    assert found["data folder"].state == "warning"
    assert "absent.yaml" in found["detection.rules"].text


@pytest.mark.parametrize(("days", "state"), [(-1, "failed"), (5, "warning"), (90, "ok")])
def test_certificates_end(tmp_path: Path, days: int, state: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server")])
    now = datetime.datetime.now(datetime.UTC)
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    built = (
        built.serial_number(1)
        .not_valid_before(now - datetime.timedelta(9))
        .not_valid_after(now + datetime.timedelta(days))
    )
    path, key_path = tmp_path / "server.pem", tmp_path / "server.key"
    path.write_bytes(built.sign(key, SHA256()).public_bytes(serialization.Encoding.PEM))
    key_path.touch(mode=0o644)
    found = findings(tmp_path, f"  certificate_file: {path}\n  key_file: {key_path}\n")
    assert found["certificate of server"].state == state
    assert found["key of server"].state == "failed"
    key_path.chmod(0o600)
    assert "key of server" not in findings(tmp_path, f"  certificate_file: {path}\n  key_file: {key_path}\n")


def test_little_space_and_a_slow_disk_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LITTLE_FREE", 1 << 60)
    monkeypatch.setattr(doctor, "synced_ms", lambda _: 50.0)
    monkeypatch.setattr(doctor, "clock_state", lambda: doctor.CLOCK_IS_UNKNOWN)
    found = findings(tmp_path)
    assert [found[name].state for name in ("disk space", "disk speed", "clock")] == ["warning"] * 3
    monkeypatch.setattr(doctor, "LEAST_FREE", 1 << 60)
    assert findings(tmp_path)["disk space"].state == "failed"
