"""The composition root of certificates: the folder of the authority, and who may use it."""

from __future__ import annotations

from pathlib import Path

from infraspectre import config
from infraspectre.adapters.certificates import DAYS, Authority, CertificateRole, Finding, Issued
from infraspectre.adapters.system_clock import SystemClock

__all__ = ["DAYS", "Authority", "CertificateRole", "Finding", "Issued", "create_authority", "open_authority"]


def create_authority(folder: Path | None, name: str) -> Authority:
    """Make an authority in a folder, the usual one by default; raises UsageError where there is one."""
    return Authority.create(folder or usual_folder(), SystemClock(), name)


def open_authority(folder: Path | None) -> Authority:
    """Open the authority in a folder, the usual one by default; raises InputError where there is none."""
    return Authority(folder or usual_folder(), SystemClock())


def usual_folder() -> Path:
    """Return where certificates are kept unless another folder is named."""
    return config.data_folder() / "certificates"
