"""Time to the first help page and to the first incident, processor time of a tiny run, and the installed size."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benches.process import COMMAND, ROOT, checked
from benches.report import Figure, Report, UnavailableError
from infraspectre.simulation import simulate

ROUNDS = 7
TINY_PACKETS = 500
MIB = 1 << 20
SAMPLE = ROOT / "examples" / "sample.pcap.gz"


def measure() -> Report:
    """Measure the command as a user starts it."""
    if not is_installed("infraspectre"):
        raise UnavailableError("infraspectre is not installed here, so its size is unknown; run make setup")
    helps = [checked([*COMMAND, "--help"], cores=None).wall_s for _ in range(ROUNDS)]
    needed = {package: size(package) for package in sorted(requirements("infraspectre"))}
    return Report(
        [
            Figure("infraspectre --help, median", median(helps), "s", "0.3 s"),
            Figure("flows of a tiny capture, CPU time, median", tiny_flows() * 1000, "ms", "", "55 ms"),
            Figure("analysis of the bundled capture, start to exit", first_incident(), "s", "", "60 s after install"),
            Figure("installed size with all that it needs", sum(needed.values()) / MIB, "MiB", "400 MB"),
        ],
        notes=["Size: " + ", ".join(f"{package} {bytes_ / MIB:.1f} MiB" for package, bytes_ in needed.items()) + "."],
    )


def tiny_flows() -> float:
    """Return the processor seconds of a run over so few packets that it is little but starting and ending."""
    with TemporaryDirectory(prefix="infraspectre-bench-") as folder:
        capture = simulate("bulk", Path(folder, "capture"), packets=TINY_PACKETS).capture
        command = [*COMMAND, "flows", capture, "--out", Path(folder, "flows.parquet"), "--features", "full", "--quiet"]
        return median(checked(command, cores=None).cpu_s for _ in range(ROUNDS))


def first_incident() -> float:
    """Return the seconds that analyzing the bundled capture takes, or a simulated one where there is none."""
    with TemporaryDirectory(prefix="infraspectre-bench-") as folder:
        capture = SAMPLE if SAMPLE.exists() else simulate("sample", Path(folder, "sample")).capture
        return checked([*COMMAND, "analyze", capture, "--out", Path(folder, "out"), "--quiet"], cores=None).wall_s


def requirements(package: str) -> Iterator[str]:
    """Yield a package and all that it needs here, extras and other platforms aside."""
    seen: set[str] = set()
    waiting = [package]
    while waiting:
        name = waiting.pop()
        if name in seen or not is_installed(name):
            continue
        seen.add(name)
        yield name
        needs = importlib.metadata.requires(name) or []
        waiting += [normal(need) for need in needs if "extra ==" not in need]


def normal(requirement: str) -> str:
    """Return the name in a requirement such as 'numpy>=2; python_version < "4"' (PEP 508), normalised (PEP 503)."""
    name = requirement.split(";")[0].split("[")[0]
    for mark in "<>=!~( ":
        name = name.split(mark)[0]
    return name.strip().lower().replace("_", "-").replace(".", "-")


def is_installed(package: str) -> bool:
    """Tell whether a package is installed."""
    try:
        importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def size(package: str) -> int:
    """Return the bytes of the files of a package; of ours, which is installed in place, those of the source folder."""
    if package == "infraspectre":
        files = [path for path in (ROOT / "src").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    else:
        files = [Path(str(file.locate())) for file in importlib.metadata.files(package) or []]
    return sum(path.stat().st_size for path in files if path.exists())
