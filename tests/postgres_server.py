"""A PostgreSQL server of the tests' own, in a temporary folder, which listens on a Unix socket alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PLACES = (Path("/usr/lib/postgresql"), Path("/usr/local/pgsql"))
OPTIONS = "-c listen_addresses= -c fsync=off -c shared_buffers=32MB -c max_connections=40"


def binaries() -> Path | None:
    """Return the folder of the newest server that is installed."""
    if found := shutil.which("initdb"):
        return Path(found).parent
    several = [each.parent for place in PLACES for each in place.glob("**/bin/initdb")]
    return max(several, default=None)


@contextmanager
def postgres_server() -> Iterator[str]:
    """Run a server, and give its connection string; skips the test where none is installed."""
    folder_of_binaries = binaries()
    if folder_of_binaries is None:
        pytest.skip("no PostgreSQL server is installed (Debian package postgresql)")
    with tempfile.TemporaryDirectory(prefix="pg") as name:
        folder = Path(name)
        user = "postgres" if os.geteuid() == 0 else None
        if user is not None:
            shutil.chown(folder, user)

        def call(*command: str) -> None:
            subprocess.run(command, check=True, user=user, cwd="/", stdout=subprocess.DEVNULL, timeout=60)

        data = str(folder / "data")
        call(str(folder_of_binaries / "initdb"), "-D", data, "-U", "tester", "-A", "trust", "-E", "UTF8", "--no-sync")
        control = str(folder_of_binaries / "pg_ctl")
        call(control, "-D", data, "-w", "-l", f"{name}/log", "-o", f"-k {name} {OPTIONS}", "start")
        try:
            yield f"host={name} user=tester dbname=postgres"
        finally:
            call(control, "-D", data, "-w", "-m", "immediate", "stop")
