"""Backup and restore of a whole platform: one file out of one that runs, and a folder out of that file."""

from infraspectre.serving.backup.archive import Manifest
from infraspectre.serving.backup.restoring import restore
from infraspectre.serving.backup.saving import back_up

__all__ = ["Manifest", "back_up", "restore"]
