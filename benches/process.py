"""Runs a program on chosen cores and tells what it cost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benches.report import UnavailableError

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
READERS = Path(__file__).resolve().parent / "readers"
PEERS = CACHE / "peers"
COMMAND = (sys.executable, "-m", "infraspectre.cli")


@dataclass(frozen=True)
class Run:
    """Holds the cost of one program from its start to its end, children that it waited for included."""

    status: int
    out: str
    wall_s: float
    cpu_s: float


def run(command: Sequence[str | Path], cores: str | None = "0") -> Run:
    """Run a program on the given cores, such as "0,1"; without taskset(1) it runs on any."""
    pinned = ["taskset", "-c", cores] if cores is not None and shutil.which("taskset") else []
    started = time.monotonic()
    with subprocess.Popen([*pinned, *map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        out = child.stdout.read() if child.stdout else b""
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    return Run(
        status=child.returncode,
        out=out.decode(),
        wall_s=time.monotonic() - started,
        cpu_s=usage.ru_utime + usage.ru_stime,
    )


def checked(command: Sequence[str | Path], cores: str | None = "0") -> Run:
    """Run a program that must succeed, losses reported aside."""
    done = run(command, cores)
    if done.status not in (0, 3):
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {done.status}")
    return done


def read(python: str | Path, reader: str, capture: Path, *options: str) -> tuple[dict[str, Any], Run]:
    """Let one of the small programs in `readers/` read a capture; return what it printed last, and its cost."""
    done = checked([python, READERS / f"{reader}.py", capture, *options])
    return json.loads(done.out.splitlines()[-1]), done


def peer_python() -> Path:
    """Return the Python that has the peers installed; install them on first use."""
    python, mark = PEERS / "bin" / "python", PEERS / ".installed"
    if not mark.exists():
        install: list[str | Path] = [python, "-m", "pip", "install", "--quiet", "--require-hashes"]
        try:
            subprocess.run([sys.executable, "-m", "venv", PEERS], check=True)
            subprocess.run([*install, "-r", ROOT / "benches" / "requirements-peers.lock"], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise UnavailableError(
                f"the peer programs cannot be installed into {PEERS.relative_to(ROOT)}: {error}"
            ) from error
        mark.touch()
    return python
