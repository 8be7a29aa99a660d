"""Files that hold a secret key: made at the first start, and readable by their owner alone."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

from infraspectre.errors import ConfigError, OutputError

KEY_BYTES = 32


def secret_key(path: Path) -> bytes:
    """Return the key in a file, which is made where there is none; raises ConfigError and OutputError."""
    if not path.exists():
        try:
            make_key(path)
        except FileExistsError:
            pass  # another process made one meanwhile, which holds
        except OSError as error:
            remedy = "make the folder, or name another file"
            raise OutputError(f"cannot be made: {error.strerror}", path=path, remedy=remedy) from error
    return kept_key(path)


def make_key(path: Path) -> None:
    """Write a new key into a file that appears whole, and only where there is none."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(KEY_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)
    finally:
        Path(temporary).unlink()


def kept_key(path: Path) -> bytes:
    """Return the key in a file; raises ConfigError, which does not show it."""
    try:
        if path.stat().st_mode & 0o077:
            raise ConfigError("can be read by others", path=path, remedy="chmod 600 it, and make a new one if it was")
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", path=path) from error
    except ValueError:
        key = b""
    if len(key) < KEY_BYTES:
        raise ConfigError(f"holds no key of {KEY_BYTES} bytes in hexadecimal", path=path, remedy="remove the file")
    return key
