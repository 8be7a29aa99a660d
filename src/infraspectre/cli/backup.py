"""`infraspectre backup`: one file with all that a platform keeps."""

from __future__ import annotations

from pathlib import Path

from infraspectre.cli.options import DEFAULT, Common
from infraspectre.cli.output import note, print_json


def backup(*, out: Path, data: Path | None = None, common: Common = DEFAULT) -> None:
    """Copy all that a platform keeps into one file, while it runs.

    The file holds keys and all that was found: keep it as a secret. Records in PostgreSQL are not copied.

    Parameters
    ----------
    out
        Write this file, a tar archive compressed by gzip.
    data
        Copy the platform in this folder instead of the one of the settings.
    """
    from infraspectre.cli.serve import settings
    from infraspectre.serving.backup import back_up

    done = back_up(settings(common, data, None), out)
    if common.json:
        print_json({"backup": out, "files": len(done.files), "bytes": done.bytes, "at": done.head.at})
    elif not common.quiet:
        note(f"copied {len(done.files):,} files of {done.bytes:,} bytes to {out}")
