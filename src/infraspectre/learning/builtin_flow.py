"""The built-in model of flows, learnt from simulated attacks and from benign captures, simulated and real.

A label of a real capture says that something hostile is in it, not which flow it is; so hostile flows are those of
simulations, where each flow has its label. Benign flows of real captures are what keeps false alarms down.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
from msgspec.structs import replace

from infraspectre.axon import FEATURES
from infraspectre.errors import InputError
from infraspectre.learning.labelled_captures import CATALOGUE, catalogue, flows_of, simulated_flows
from infraspectre.learning.splitting import sample
from infraspectre.ml.council import Council, CouncilSettings
from infraspectre.ml.families import FAMILIES

SETTINGS = CouncilSettings(families=replace(FAMILIES, rounds=30))
"""Simulated attacks are easily told apart: fewer trees name them as well, in half the time."""
Simulate = Callable[[str, Path, int], object]
"""Plays a scenario into a folder, drawn by a seed."""

SEED = 7
SEEDS = (11, 12, 13)
"""Seeds of the simulations."""
NOT_LEARNT = frozenset({"bulk"})
"""Scenarios that are made to measure speed, not to be told apart."""
SOURCES = ("corelight", "joy", "mercury")
"""Sources of benign captures whose licences (BSD, by the catalogue of the data) allow passing on what is learnt."""
FLOWS_OF_SIMULATION, FLOWS_OF_CAPTURE = 150, 100
"""Flows of one class taken of a simulation, and flows taken of a real capture: so no capture outweighs others."""
SIDES = tuple(
    f"{side}_{name}"
    for side in ("orig", "resp")
    for name in (
        "packets", "payload_bytes", "data_packets", "syn_packets", "fin_packets", "rst_packets", "psh_packets",
        "retransmitted_bytes", "segment_bytes_mean", "segment_bytes_max", "segment_bytes_min", "entropy_bits",
        "ascii_ratio", "compression_ratio",
    )
)  # fmt: skip
COLUMNS = (
    *SIDES, "duration_ms", "packets_per_s", "fragments", "protocol", "app_protocol", "tcp_state",
    "dns_query_count", "dns_nxdomain_count", "dns_query_name_bytes", "dns_answer_bytes",
    "http_request_count", "http_request_body_bytes", "http_response_body_bytes",
    "smb_command_count", "smb_auth_failures", "ftp_command_count", "ftp_login_failures",
    "tls_established", "tls_resumed", *(feature.name for feature in FEATURES),
)  # fmt: skip
"""What is learnt from: what a flow does and what its hosts did before, as any network shows it.

Addresses, ports, times and what operating systems choose (TTL, window, segment size) name places; so do round-trip
times and gaps, which a simulation draws from its own distributions."""


def train(data: Path, simulate: Simulate, scenarios: Collection[str], without: Collection[str] = ()) -> Council:
    """Learn the model of flows from simulations and from a folder of data, leaving out some of its sources.

    Rows of one capture are judged apart when thresholds are fixed. Raises `InputError` where the data is missing.
    """
    frame = pl.concat(
        [simulated(simulate, tuple(sorted(scenarios)), SEEDS), *real_benign(data, without)], how="vertical_relaxed"
    )
    return Council.learn(frame, "class", seed=SEED, groups="capture", settings=SETTINGS)


@cache
def simulated(simulate: Simulate, scenarios: tuple[str, ...], seeds: tuple[int, ...]) -> pl.DataFrame:
    """Return flows of scenarios with the category of their behaviour for a class."""
    return pl.concat(_simulated(simulate, scenarios, seeds), how="vertical_relaxed")


def _simulated(simulate: Simulate, scenarios: tuple[str, ...], seeds: tuple[int, ...]) -> Iterator[pl.DataFrame]:
    for scenario in scenarios:
        for seed in seeds:
            with TemporaryDirectory() as folder:
                simulate(scenario, Path(folder), seed)
                flows = simulated_flows(Path(folder), "category")
            for part in flows.partition_by("category", maintain_order=True):
                chosen = sample(part, FLOWS_OF_SIMULATION, seed)
                yield chosen.select(*COLUMNS, pl.col("category").alias("class"), capture=pl.lit(f"{scenario} {seed}"))


def real_benign(data: Path, without: Collection[str] = ()) -> Iterator[pl.DataFrame]:
    """Yield flows of the benign captures of SOURCES."""
    for path, source in benign_captures(data):
        flows = flows_of(path) if source not in without else pl.DataFrame()
        if len(flows):
            chosen = sample(flows, FLOWS_OF_CAPTURE, SEED)
            yield chosen.select(
                *COLUMNS, pl.lit("benign").alias("class"), capture=pl.lit(path.relative_to(data).as_posix())
            )


def benign_captures(data: Path) -> Iterator[tuple[Path, str]]:
    """Yield the benign captures of SOURCES with their source; raise `InputError` where there is no catalogue."""
    path = data / "net" / CATALOGUE
    if not path.is_file():
        raise InputError("this file is missing", path=path, remedy="give the folder of test data as --data")
    for entry in catalogue(path, "label"):
        if entry["label"] == "benign" and entry.get("source") in SOURCES:
            yield path.parent / entry["path"], str(entry["source"])
