"""Pins every dependency with its hashes into the lock files, which name no download address."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = {
    "requirements.lock": ("pyproject.toml",),
    "requirements-build.lock": ("--group", "pyproject.toml:build"),
    "requirements-dev.lock": ("pyproject.toml", "--group", "pyproject.toml:development"),
}
OPTIONS = (
    "--universal",
    "--python-version=3.11",
    "--generate-hashes",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--no-header",
    "--no-annotate",
    "--quiet",
)


def main() -> None:
    """Rewrite each lock file; the development lock agrees with the others by being resolved from the same input."""
    for name, inputs in LOCKS.items():
        command = [sys.executable, "-m", "uv", "pip", "compile", *inputs, *OPTIONS, "--output-file", name]
        subprocess.run(command, cwd=ROOT, check=True)  # noqa: S603 - a fixed command


if __name__ == "__main__":
    main()
