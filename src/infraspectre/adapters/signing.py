"""Signatures of models: Ed25519 over the content id, with keys from files or the environment, never from flags."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from infraspectre.errors import InputError, UsageError
from infraspectre.files import write_whole, writing_to
from infraspectre.records.models import Manifest, Signature

PRIVATE_VARIABLE = "INFRASPECTRE_MODEL_KEY"
"""Holds the private key as PEM text, for where there is no file."""
TRUSTED_VARIABLE = "INFRASPECTRE_MODEL_TRUST"
"""Names a file with the public key by which every model has to be signed."""
CONTEXT = b"infraspectre model 1\n"
"""Begins what is signed, so that a signature of something else is never one of a model."""
MAX_KEY_BYTES = 16_384
NEW_KEY = "'infraspectre models key' makes one"


def sign(manifest: Manifest, key: Path | None) -> Manifest:
    """Return the manifest with a signature by the key in a file, else by the one in the environment."""
    private = private_key(key)
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()
    return msgspec.structs.replace(manifest, signature=Signature(public, private.sign(message(manifest)).hex()))


def message(manifest: Manifest) -> bytes:
    """Return the bytes that are signed."""
    return CONTEXT + manifest.content_id.encode()


def private_key(path: Path | None, variable: str = PRIVATE_VARIABLE) -> Ed25519PrivateKey:
    """Read a private key in PEM (PKCS 8) from a file, else from the environment; raises InputError, UsageError."""
    text = os.environ.get(variable, "") if path is None else ""
    if path is None and not text:
        raise UsageError("no key to sign with", remedy=f"give --key FILE or set {variable}; {NEW_KEY}")
    place = path or variable
    try:
        key = load_pem_private_key(text.encode() if path is None else read_key(path), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InputError("is no private key in PEM without a password", path=place, remedy=NEW_KEY) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError("is no Ed25519 key", path=place, remedy=NEW_KEY)
    return key


def read_key(path: Path) -> bytes:
    """Return the bytes of a key file; raises InputError."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_KEY_BYTES)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from error


def public_key(path: Path) -> str:
    """Read a public key in PEM, or that of a private one, in hexadecimal; raises InputError."""
    data = read_key(path)
    try:
        key = load_pem_private_key(data, None).public_key() if b"PRIVATE KEY" in data else load_pem_public_key(data)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InputError("is no key in PEM", path=path, remedy=NEW_KEY) from error
    if not isinstance(key, Ed25519PublicKey):
        raise InputError("is no Ed25519 key", path=path, remedy=NEW_KEY)
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def check_signature(manifest: Manifest, path: Path) -> None:
    """Raise InputError unless the signature in a manifest is one of its content id by the key beside it."""
    if manifest.signature is None:
        raise InputError("is not signed", path=path, remedy="sign it: 'infraspectre models sign'")
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(manifest.signature.public_key))
        key.verify(bytes.fromhex(manifest.signature.value), message(manifest))
    except (InvalidSignature, ValueError) as error:
        remedy = "fetch the model again, or sign it anew if it is yours"
        raise InputError("has a bad signature", path=path, remedy=remedy) from error


def require_signature(manifest: Manifest, path: Path, trusted: Path) -> None:
    """Raise InputError unless a manifest is signed by the key in a file."""
    check_signature(manifest, path)
    if manifest.signature is None or manifest.signature.public_key != public_key(trusted):
        raise InputError(f"is not signed by the key in {trusted}", path=path, remedy="use a model of a trusted source")


def trusted_key() -> Path | None:
    """Return the file with the public key that every model has to be signed by, if there is one."""
    path = os.environ.get(TRUSTED_VARIABLE, "")
    return Path(path) if path else None


def make_key(path: Path) -> Path:
    """Write a new private key for its owner's eyes alone, and beside it, as .pub, the public one; return that path."""
    if path.exists():
        raise UsageError("is there already", path=path, remedy="name a new file: a lost key cannot be restored")
    key = Ed25519PrivateKey.generate()
    with writing_to(path), open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = path.with_name(f"{path.name}.pub")
    write_whole(public, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return public
