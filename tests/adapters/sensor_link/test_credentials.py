from __future__ import annotations

import shutil
import ssl
from pathlib import Path

import pytest

from infraspectre.adapters.certificates import Authority
from infraspectre.adapters.sensor_link.credentials import Credentials, Side
from infraspectre.errors import InputError
from link_rooms import CLOCK, credentials, make_authority


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return make_authority(tmp_path / "ca")


def opened(authority: Authority, certificate: str, key: str, side: Side = "sensor", ca: str = "ca.pem") -> Credentials:
    folder = authority.folder
    return Credentials(folder / certificate, folder / key, folder / ca, folder / "revoked.pem", side, CLOCK)


def test_both_sides_demand_tls_13_and_a_certificate(authority: Authority) -> None:
    sides: list[tuple[str, Side]] = [("server", "server"), ("probe", "sensor")]
    for name, side in sides:
        context = credentials(authority.folder, name, side).context
        assert context.minimum_version is ssl.TLSVersion.TLSv1_3
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname is (side == "sensor")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_keys_that_others_can_read_are_refused(authority: Authority, mode: int) -> None:
    (authority.folder / "probe.key").chmod(mode)
    with pytest.raises(InputError, match="chmod 600"):
        opened(authority, "probe.pem", "probe.key")


def test_files_that_do_not_fit_are_named(authority: Authority) -> None:
    (authority.folder / "empty.pem").write_text("")
    for certificate, key, ca, problem in (
        ("probe.pem", "server.key", "ca.pem", r"server\.key: does not go with probe\.pem"),
        ("server.pem", "server.key", "ca.pem", "is of a server, not of a sensor"),
        ("ca.pem", "ca.key", "ca.pem", "names nobody"),
        ("empty.pem", "probe.key", "ca.pem", r"empty\.pem: is no certificate"),
        ("probe.pem", "probe.key", "empty.pem", r"empty\.pem: is no certificate"),
        ("absent.pem", "probe.key", "ca.pem", r"absent\.pem: cannot be read"),
        ("probe.pem", "absent.key", "ca.pem", r"absent\.key: cannot be read"),
    ):
        with pytest.raises(InputError, match=problem):
            opened(authority, certificate, key, ca=ca)


def test_changed_files_are_read_again_and_only_those(authority: Authority) -> None:
    own = opened(authority, "probe.pem", "probe.key")
    before = own.context
    assert not own.refresh()
    authority.rotate("probe")
    assert own.refresh()
    assert own.context is not before


def test_broken_files_change_nothing_until_they_are_mended(authority: Authority) -> None:
    own = opened(authority, "probe.pem", "probe.key")
    before = own.context
    kept = authority.folder / "kept"
    shutil.copy(authority.folder / "probe.pem", kept)
    (authority.folder / "probe.pem").write_text("half a certif")
    for _ in range(2):
        with pytest.raises(InputError):
            own.refresh()
    assert own.context is before
    kept.replace(authority.folder / "probe.pem")
    assert own.refresh()


def test_a_list_that_is_too_old_holds_for_nobody(authority: Authority) -> None:
    own = credentials(authority.folder, "server", "server")
    assert own.fault(own.own) is None

    class Later:
        def now(self) -> int:
            return CLOCK.now() + 200 * 86_400 * 10**9

    authority.issue("long", days=400)
    long = opened(authority, "long.pem", "long.key")
    long._clock = Later()
    assert long.fault(long.own) == "the list of revoked certificates is too old"
