"""`infraspectre restore`: the data folder of a platform out of a backup."""

from __future__ import annotations

from pathlib import Path

from infraspectre.cli.options import DEFAULT, Common
from infraspectre.cli.output import note, print_json


def restore(file: Path, /, *, data: Path, key: Path | None = None, common: Common = DEFAULT) -> None:
    """Make the data folder of a platform out of a backup, once all of it is verified.

    Parameters
    ----------
    file
        What `infraspectre backup` wrote.
    data
        Put the platform into this folder, which has to be empty or not there.
    key
        Accept only a backup signed by this public key, that of the event log.
    """
    from infraspectre.serving.backup import restore as put

    done = put(file, data, key)
    if common.json:
        print_json({"data": data, "files": len(done.files), "bytes": done.bytes, "at": done.head.at})
    elif not common.quiet:
        note(f"{data} is as it was at {done.head.at}: {len(done.files):,} files of {done.bytes:,} bytes")
