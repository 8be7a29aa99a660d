"""A small certificate authority in a folder: certificates for the server and its sensors, and the list of revoked ones.

Certificates follow RFC 5280 with keys on P-256; `infraspectre:ROLE:TENANT:NAME` as a URI in the subject's alternative
names says whose they are. The authority's private key is needed for issuing and revoking alone and may lie offline.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from infraspectre.errors import InputError, UsageError
from infraspectre.files import make_folder, write_whole, writing_to
from infraspectre.ports import Clock
from infraspectre.records.access import TENANT_NAME
from infraspectre.records.flow_batches import NAME, Sensor
from infraspectre.records.times import NANOSECONDS, rfc3339

CertificateRole = Literal["sensor", "server"]
AUTHORITY_CERTIFICATE, AUTHORITY_KEY, REVOKED, ISSUED, LOCK = "ca.pem", "ca.key", "revoked.pem", "issued.json", "lock"
RESERVED = ("ca", "revoked")
"""Names of own files."""
SCHEME = "infraspectre"
MOST_FILE_BYTES = 16 << 20
AUTHORITY_DAYS = 3_650
DAYS = 90
"""How long a certificate holds unless something else is asked for."""
REVOKED_DAYS = 180
"""How long a list of revoked certificates holds; whatever is issued or revoked writes a new one."""
RENEWAL_SHARE = 1 / 3
"""A certificate is due for rotation when no more than this part of its life is left."""
BACKDATED = timedelta(minutes=5)
"""Clocks differ: certificates hold from a little before they are issued."""


class Issued(msgspec.Struct, frozen=True):
    """Is what the authority remembers of a certificate."""

    name: str
    role: CertificateRole
    tenant: str
    hosts: list[str]
    serial: str
    """In hexadecimal."""
    not_before: int
    """Nanoseconds since the epoch, UTC, as the next two."""
    not_after: int
    revoked_at: int | None = None


class Finding(NamedTuple):
    """Is something about a certificate or file that somebody should see to."""

    subject: str
    is_fault: bool
    """Whether connections fail because of it, now."""
    problem: str
    remedy: str


class Authority:
    """Issues, rotates and revokes certificates in a folder."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        """Open the folder of an authority; raises InputError where there is none."""
        self.folder = folder
        self._clock = clock
        self.certificate = read_certificate(folder / AUTHORITY_CERTIFICATE)

    @classmethod
    def create(cls, folder: Path, clock: Clock, name: str = "InfraSpectre") -> Authority:
        """Make an authority in a folder; raises UsageError where there is one."""
        if (folder / AUTHORITY_CERTIFICATE).exists():
            remedy = "name another folder: all certificates of the one that is there would be void"
            raise UsageError("holds an authority already", path=folder, remedy=remedy)
        make_folder(folder).chmod(0o700)
        key = ec.generate_private_key(ec.SECP256R1())
        write_secret(folder / AUTHORITY_KEY, private_text(key))
        certificate = authority_certificate(key, f"{name} authority", moment(clock.now()))
        write_whole(folder / AUTHORITY_CERTIFICATE, certificate.public_bytes(Encoding.PEM))
        authority = cls(folder, clock)
        with authority._changing():
            authority._write_revoked(key)
        return authority

    def issue(
        self,
        name: str,
        role: CertificateRole = "sensor",
        tenant: str = "default",
        hosts: Sequence[str] = (),
        days: float = DAYS,
    ) -> Issued:
        """Make a key and a certificate as NAME.key and NAME.pem; raises UsageError where the name is in use.

        `hosts` are the names and addresses under which a server is reached.
        """
        if not NAME.match(name):
            raise UsageError(f"{name!r} is no name", remedy="take a to z, 0 to 9, dots and hyphens, at most 63")
        if not TENANT_NAME.fullmatch(tenant):
            raise UsageError(f"{tenant!r} is no tenant", remedy="take a to z, 0 to 9 and hyphens, at most 32")
        if name in RESERVED:
            raise UsageError(f"the name {name} is taken", remedy="choose another")
        if role == "server" and not hosts:
            raise UsageError("a server needs a name", remedy="say with --host how sensors reach it")
        with self._changing():
            if any(each.name == name and each.revoked_at is None for each in self.issued()):
                raise UsageError(f"{name} has a certificate", remedy=f"infraspectre certificates rotate {name}")
            return self._make(name, role, tenant, list(hosts), days)

    def rotate(self, name: str, days: float = DAYS) -> Issued:
        """Make a new key and certificate with the names of the last one, which holds until its end.

        Raises UsageError for a name that has none, or whose last one is revoked.
        """
        with self._changing():
            last = self._last(name)
            if last.revoked_at is not None:
                raise UsageError(f"{name} is revoked", remedy=f"infraspectre certificates issue {name}")
            return self._make(name, last.role, last.tenant, last.hosts, days)

    def revoke(self, name: str) -> list[Issued]:
        """Revoke all certificates of a name, and return those that were in force; raises UsageError for no name."""
        with self._changing():
            self._last(name)
            key, now = self._key(), self._clock.now()
            known = self.issued()
            revoked = [
                msgspec.structs.replace(each, revoked_at=now)
                for each in known
                if each.name == name and each.revoked_at is None
            ]
            changed = {each.serial: each for each in revoked}
            self._remember([changed.get(each.serial, each) for each in known])
            self._write_revoked(key)
            return revoked

    def issued(self) -> list[Issued]:
        """Return all certificates that were ever issued, the first one first; raises InputError."""
        path = self.folder / ISSUED
        if not path.exists():
            return []
        try:
            return msgspec.json.decode(read_file(path), type=list[Issued])
        except ValueError as error:
            raise InputError(f"is no list of certificates: {error}", path=path, remedy="restore the file") from error

    def check(self) -> Iterator[Finding]:
        """Yield what somebody should see to: what has ended, ends soon, may be read by others, or does not fit."""
        now = self._clock.now()
        yield from check_life("authority", *life(self.certificate), now, "make a new one with 'certificates init'")
        yield from check_revoked(self.folder / REVOKED, self.certificate, now)
        for path in sorted(self.folder.glob("*.key")):
            if path.stat().st_mode & 0o077:
                yield Finding(path.name, True, "can be read by others", f"chmod 600 {path}")
        for name in sorted({each.name for each in self.issued()}):
            last = self._last(name)
            if last.revoked_at is None:
                remedy = f"infraspectre certificates rotate {name}"
                yield from check_life(name, last.not_before, last.not_after, now, remedy)

    def _last(self, name: str) -> Issued:
        found = [each for each in self.issued() if each.name == name]
        if not found:
            raise UsageError(
                f"there is no certificate of {name!r}", remedy="'infraspectre certificates list' lists all"
            )
        return found[-1]

    def _key(self) -> ec.EllipticCurvePrivateKey:
        path = self.folder / AUTHORITY_KEY
        if not path.exists():
            remedy = "bring it back for as long as you issue or revoke"
            raise InputError("the authority's private key is not here", path=path, remedy=remedy)
        key = read_private_key(path)
        if key.public_key() != self.certificate.public_key():
            raise InputError("is not the key of ca.pem", path=path, remedy="restore the one that belongs to it")
        return key

    def _make(self, name: str, role: CertificateRole, tenant: str, hosts: list[str], days: float) -> Issued:
        signer = self._key()
        key = ec.generate_private_key(ec.SECP256R1())
        start = moment(self._clock.now())
        certificate = leaf_certificate(
            key.public_key(), Identity(role, tenant, name), hosts, start, start + timedelta(days=days), self, signer
        )
        write_secret(self.folder / f"{name}.key", private_text(key))
        write_whole(self.folder / f"{name}.pem", certificate.public_bytes(Encoding.PEM))
        issued = Issued(name, role, tenant, hosts, f"{certificate.serial_number:x}", *life(certificate))
        self._remember([*self.issued(), issued])
        self._write_revoked(signer)
        return issued

    def _remember(self, issued: list[Issued]) -> None:
        write_whole(self.folder / ISSUED, msgspec.json.format(msgspec.json.encode(issued), indent=1) + b"\n")

    def _write_revoked(self, key: ec.EllipticCurvePrivateKey) -> None:
        """Write the signed list of revoked certificates that are not over."""
        now = moment(self._clock.now())
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(now)
            .next_update(now + timedelta(days=REVOKED_DAYS))
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
            .add_extension(x509.CRLNumber(self._clock.now() // NANOSECONDS), critical=False)
        )
        for each in self.issued():
            if each.revoked_at is not None and moment(each.not_after) > now:
                revoked = x509.RevokedCertificateBuilder().serial_number(int(each.serial, 16))
                builder = builder.add_revoked_certificate(revoked.revocation_date(moment(each.revoked_at)).build())
        write_whole(self.folder / REVOKED, builder.sign(key, SHA256()).public_bytes(Encoding.PEM))

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Keep other processes from changing the folder."""
        with writing_to(self.folder / LOCK):
            file = os.open(self.folder / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        finally:
            os.close(file)


class Identity(NamedTuple):
    """Says whom a certificate is for."""

    role: str
    tenant: str
    name: str

    @property
    def uri(self) -> str:
        """Return the identity as certificates hold it."""
        return f"{SCHEME}:{self.role}:{self.tenant}:{self.name}"

    @property
    def sensor(self) -> Sensor:
        """Return the sensor that it names."""
        return Sensor(self.tenant, self.name)


def identity(certificate: x509.Certificate) -> Identity:
    """Return whom a certificate is for; raises InputError for one that does not say so."""
    remedy = f"issue it with the URI {SCHEME}:sensor:TENANT:NAME among its alternative names"
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError) as error:
        raise InputError("a certificate names nobody", remedy=remedy) from error
    found = [uri.split(":") for uri in names.get_values_for_type(x509.UniformResourceIdentifier)]
    ours = [parts for parts in found if parts[0] == SCHEME]
    if len(ours) != 1 or len(ours[0]) != 4 or not all(map(NAME.match, ours[0][1:])):
        raise InputError("a certificate names nobody, or several", remedy=remedy)
    return Identity(*ours[0][1:])


def authority_certificate(key: ec.EllipticCurvePrivateKey, name: str, start: datetime) -> x509.Certificate:
    """Return the certificate of an authority, signed by itself."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return (
        new_certificate(key.public_key(), subject, start, start + timedelta(days=AUTHORITY_DAYS), key.public_key())
        .issuer_name(subject)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .sign(key, SHA256())
    )


def leaf_certificate(
    key: ec.EllipticCurvePublicKey,
    whom: Identity,
    hosts: Sequence[str],
    start: datetime,
    end: datetime,
    authority: Authority,
    signer: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    """Return a certificate of a server or sensor, which holds no longer than that of the authority."""
    usage = ExtendedKeyUsageOID.SERVER_AUTH if whom.role == "server" else ExtendedKeyUsageOID.CLIENT_AUTH
    names = [x509.UniformResourceIdentifier(whom.uri), *map(host_name, hosts)]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, whom.name)])
    end = min(end, authority.certificate.not_valid_after_utc)
    return (
        new_certificate(key, subject, start, end, signer.public_key())
        .issuer_name(authority.certificate.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(signer, SHA256())
    )


def new_certificate(
    key: ec.EllipticCurvePublicKey, subject: x509.Name, start: datetime, end: datetime, by: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    """Return what every certificate has; its serial number is random."""
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - BACKDATED)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by), critical=False)
    )


def key_usage(*, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    """Return what a key may be used for."""
    return x509.KeyUsage(digital_signature, False, False, False, False, key_cert_sign, crl_sign, False, False)


def host_name(host: str) -> x509.GeneralName:
    """Return a host as certificates name it; raises UsageError for what is neither a name nor an address."""
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        pass
    try:
        return x509.DNSName(host)
    except ValueError as error:
        raise UsageError(f"{host!r} is neither a name nor an address of a host") from error


class RevokedList:
    """Is a list of revoked certificates."""

    def __init__(self, path: Path, authority: x509.Certificate) -> None:
        """Read a list; raises InputError for one that the authority has not signed."""
        try:
            self._list = x509.load_pem_x509_crl(read_file(path))
        except ValueError as error:
            raise InputError("is no list of revoked certificates in PEM", path=path) from error
        key = authority.public_key()
        is_ours = self._list.issuer == authority.subject
        if not is_ours or not self._list.is_signature_valid(key):  # type: ignore[arg-type]
            raise InputError("is not signed by the authority", path=path, remedy="copy it from the authority's folder")
        self.not_after = (self._list.next_update_utc or datetime.max.replace(tzinfo=UTC)).timestamp() * NANOSECONDS

    def holds(self, certificate: x509.Certificate) -> bool:
        """Tell whether a certificate is revoked."""
        return self._list.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None


def check_revoked(path: Path, authority: x509.Certificate, now: int) -> Iterator[Finding]:
    """Yield what is wrong with a list of revoked certificates."""
    remedy = "issue, rotate or revoke anything: it is written anew"
    try:
        end = RevokedList(path, authority).not_after
    except InputError as error:
        yield Finding(path.name, True, error.problem, remedy)
        return
    if end <= now:
        yield Finding(path.name, True, "is too old", remedy)
    elif end - now < REVOKED_DAYS * RENEWAL_SHARE * 86_400 * NANOSECONDS:
        yield Finding(path.name, False, f"ends at {rfc3339(int(end))}", remedy)


def check_life(subject: str, start: int, end: int, now: int, remedy: str) -> Iterator[Finding]:
    """Yield that a certificate has ended, or is due for rotation."""
    if not start <= now < end:
        yield Finding(subject, True, f"holds from {rfc3339(start)} to {rfc3339(end)}, not now", remedy)
    elif end - now <= (end - start) * RENEWAL_SHARE:
        yield Finding(subject, False, f"ends at {rfc3339(end)}", remedy)


def life(certificate: x509.Certificate) -> tuple[int, int]:
    """Return from when to when a certificate holds, in nanoseconds since the epoch."""
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return int(start.timestamp()) * NANOSECONDS, int(end.timestamp()) * NANOSECONDS


def moment(at: int) -> datetime:
    """Return nanoseconds since the epoch as certificates hold times, in whole seconds."""
    return datetime.fromtimestamp(at // NANOSECONDS, UTC)


def private_text(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a private key in PEM (PKCS 8)."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def write_secret(path: Path, data: bytes) -> None:
    """Write a file for its owner's eyes alone, which appears whole or not at all."""
    temporary = path.with_name(f".{path.name}.partial")
    with writing_to(path):
        temporary.unlink(missing_ok=True)
        with open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)


def read_file(path: Path) -> bytes:
    """Return the bytes of a small file; raises InputError."""
    try:
        with path.open("rb") as file:
            return file.read(MOST_FILE_BYTES)
    except OSError as error:
        remedy = "'infraspectre certificates' makes it" if isinstance(error, FileNotFoundError) else None
        raise InputError(f"cannot be read: {error.strerror}", path=path, remedy=remedy) from error


def read_certificate(path: Path) -> x509.Certificate:
    """Read the first certificate of a file in PEM; raises InputError."""
    try:
        return x509.load_pem_x509_certificate(read_file(path))
    except ValueError as error:
        raise InputError("is no certificate in PEM", path=path) from error


def read_private_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Read a private key in PEM; raises InputError."""
    try:
        key = load_pem_private_key(read_file(path), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InputError("is no private key in PEM without a password", path=path) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise InputError("is no key on an elliptic curve", path=path)
    return key
