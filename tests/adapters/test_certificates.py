from __future__ import annotations

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from infraspectre.adapters.certificates import (
    DAYS,
    Authority,
    Identity,
    RevokedList,
    identity,
    life,
    read_certificate,
)
from infraspectre.errors import InputError, UsageError
from infraspectre.records.times import NANOSECONDS
from log_fakes import SetClock

DAY = 86_400 * NANOSECONDS


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def authority(tmp_path: Path, clock: SetClock) -> Authority:
    return Authority.create(tmp_path / "ca", clock)


def problems(authority: Authority) -> list[tuple[str, bool]]:
    return [(finding.subject, finding.is_fault) for finding in authority.check()]


@pytest.mark.parametrize("tenant", ["a.b", "a" * 33])
def test_what_no_tenant_can_be_called_gets_no_certificate(authority: Authority, tenant: str) -> None:
    with pytest.raises(UsageError, match="is no tenant"):
        authority.issue("probe", tenant=tenant)


def test_keys_are_for_their_owner_alone(authority: Authority) -> None:
    authority.issue("probe")
    for name in ("ca.key", "probe.key"):
        assert stat.S_IMODE((authority.folder / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(authority.folder.stat().st_mode) == 0o700


def test_a_certificate_says_whose_it_is_and_is_signed(authority: Authority, clock: SetClock) -> None:
    authority.issue("probe", tenant="acme")
    authority.issue("main", "server", hosts=["infra.example", "192.0.2.1", "2001:db8::1"])
    probe, main = (read_certificate(authority.folder / f"{name}.pem") for name in ("probe", "main"))
    assert identity(probe) == Identity("sensor", "acme", "probe")
    names = main.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["infra.example"]
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.1", "2001:db8::1"]
    for each in (probe, main):
        each.verify_directly_issued_by(authority.certificate)
        assert life(each)[1] == clock.now() + DAYS * DAY
    assert probe.serial_number != main.serial_number


def test_there_is_one_authority_in_a_folder(authority: Authority, clock: SetClock) -> None:
    with pytest.raises(UsageError, match="authority already"):
        Authority.create(authority.folder, clock)


@pytest.mark.parametrize("name", ["", "Probe", "a/b", "../x", "a:b", "ca:"])
def test_names_that_could_be_misread_are_refused(authority: Authority, name: str) -> None:
    with pytest.raises(UsageError, match="is no name"):
        authority.issue(name)
    with pytest.raises(UsageError, match="is no tenant"):
        authority.issue("probe", tenant=name)


def test_the_authority_is_no_name_of_a_sensor(authority: Authority) -> None:
    before = (authority.folder / "ca.key").read_bytes()
    for name in ("ca", "revoked"):
        with pytest.raises(UsageError, match="is taken"):
            authority.issue(name)
    assert (authority.folder / "ca.key").read_bytes() == before


def test_a_name_has_one_certificate_until_it_is_revoked(authority: Authority) -> None:
    authority.issue("probe")
    with pytest.raises(UsageError, match="has a certificate"):
        authority.issue("probe")
    authority.revoke("probe")
    authority.issue("probe")


def test_a_server_needs_a_host(authority: Authority) -> None:
    with pytest.raises(UsageError, match="needs a name"):
        authority.issue("main", "server")
    with pytest.raises(UsageError, match="neither a name nor an address"):
        authority.issue("main", "server", hosts=["exämple"])


def test_rotation_keeps_the_names_and_changes_the_rest(authority: Authority) -> None:
    first = authority.issue("main", "server", "acme", ["infra.example"])
    key = (authority.folder / "main.key").read_bytes()
    second = authority.rotate("main")
    assert (second.role, second.tenant, second.hosts) == (first.role, first.tenant, first.hosts)
    assert second.serial != first.serial
    assert (authority.folder / "main.key").read_bytes() != key


def test_revoking_concerns_all_certificates_of_a_name(authority: Authority) -> None:
    authority.issue("probe")
    old = read_certificate(authority.folder / "probe.pem")
    authority.rotate("probe")
    new = read_certificate(authority.folder / "probe.pem")
    authority.issue("other")
    assert len(authority.revoke("probe")) == 2
    revoked = RevokedList(authority.folder / "revoked.pem", authority.certificate)
    assert revoked.holds(old)
    assert revoked.holds(new)
    assert not revoked.holds(read_certificate(authority.folder / "other.pem"))
    assert [each.revoked_at is None for each in authority.issued()] == [False, False, True]
    with pytest.raises(UsageError, match="is revoked"):
        authority.rotate("probe")


def test_unknown_names_are_said(authority: Authority) -> None:
    for act in (authority.rotate, authority.revoke):
        with pytest.raises(UsageError, match="no certificate of 'nobody'"):
            act("nobody")


def test_the_list_forgets_what_has_ended(authority: Authority, clock: SetClock) -> None:
    authority.issue("probe", days=1)
    old = read_certificate(authority.folder / "probe.pem")
    authority.revoke("probe")
    clock.time += 2 * DAY
    authority.issue("other")
    assert not RevokedList(authority.folder / "revoked.pem", authority.certificate).holds(old)


def test_a_list_by_another_authority_is_none(authority: Authority, tmp_path: Path, clock: SetClock) -> None:
    other = Authority.create(tmp_path / "other", clock)
    with pytest.raises(InputError, match="not signed by the authority"):
        RevokedList(other.folder / "revoked.pem", authority.certificate)


def test_a_changed_list_is_none(authority: Authority) -> None:
    authority.issue("probe")
    authority.revoke("probe")
    path = authority.folder / "revoked.pem"
    listed = x509.load_pem_x509_crl(path.read_bytes())
    forged = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(listed.issuer)
        .last_update(datetime(2026, 1, 1, tzinfo=UTC))
        .next_update(datetime(2027, 1, 1, tzinfo=UTC))
        .sign(ec.generate_private_key(ec.SECP256R1()), SHA256())
    )
    path.write_bytes(forged.public_bytes(Encoding.PEM))
    with pytest.raises(InputError, match="not signed"):
        RevokedList(path, authority.certificate)


def test_nothing_is_issued_without_the_authority_s_key(authority: Authority) -> None:
    authority.issue("probe")
    (authority.folder / "ca.key").rename(authority.folder / "offline")
    for act in (lambda: authority.issue("other"), lambda: authority.rotate("probe"), lambda: authority.revoke("probe")):
        with pytest.raises(InputError, match="private key is not here"):
            act()
    assert all(each.revoked_at is None for each in authority.issued())


def test_checks_find_what_ends_and_what_others_can_read(authority: Authority, clock: SetClock) -> None:
    authority.issue("probe")
    assert problems(authority) == []
    clock.time += 61 * DAY
    assert problems(authority) == [("probe", False)]
    authority.rotate("probe")
    assert problems(authority) == []
    clock.time += 91 * DAY
    assert problems(authority) == [("probe", True)]
    clock.time += 100 * DAY
    assert problems(authority) == [("revoked.pem", True), ("probe", True)]
    authority.revoke("probe")
    (authority.folder / "probe.key").chmod(0o640)
    assert problems(authority) == [("probe.key", True)]


def test_a_certificate_outlives_no_authority(authority: Authority, clock: SetClock) -> None:
    issued = authority.issue("probe", days=100_000)
    assert issued.not_after == life(authority.certificate)[1]


def test_a_damaged_list_of_certificates_is_named(authority: Authority) -> None:
    (authority.folder / "issued.json").write_text("[{}]")
    with pytest.raises(InputError, match="is no list of certificates"):
        authority.issued()


def test_certificates_that_name_nobody_are_refused(authority: Authority) -> None:
    with pytest.raises(InputError, match="names nobody"):
        identity(authority.certificate)
