"""Retraining: a challenger learnt from what analysts said of incidents, and from ordinary flows of the site."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

import msgspec
import polars as pl

from infraspectre.errors import InputError, OutputError
from infraspectre.intel.families import family
from infraspectre.ports import every
from infraspectre.records.collections import INCIDENTS
from infraspectre.records.models import Version
from infraspectre.records.queries import MOST_ALTERNATIVES, MOST_ROWS, Filter, Query
from infraspectre.records.times import UNITS, rfc3339
from infraspectre.serving.jobs import Job
from infraspectre.serving.platform import Platform
from infraspectre.serving.scoring import REGISTRY, registered_as

RETRAINING = "retraining"
LABEL = "label"
BENIGN = "benign"
IDENTITY = ("flow_id", "community_id", "started_at", "ended_at", "first_packet", "orig_ip", "resp_ip", "vlan")
"""Columns that tell flows apart instead of telling what they are."""
MOST_ORDINARY = 20_000
"""Flows of no incident that are learnt as benign."""
MOST_TOLD = 4_096
"""Bytes of the last words of a training that failed."""
LOOK_S = 0.5
NICENESS = 10
"""Learning waits for all that is more urgent."""


class Asked(msgspec.Struct, frozen=True):
    """Says what is learnt under which name, and from how many days."""

    name: str
    days: int = 30


class Labelled(msgspec.Struct):
    """Holds the labels of flows by their identity."""

    labels: dict[int, str] = {}
    kept_out: set[int] = set()
    """Flows of incidents of which nobody is sure: they are not learnt at all."""


def retrain(platform: Platform, job: Job, is_lost: threading.Event) -> str:
    """Learn a model and register it as a candidate; return its name and version. Raises InputError, OutputError."""
    asked = msgspec.convert(job.arguments, Asked)
    with TemporaryDirectory(prefix="infraspectre-retraining-") as folder:
        table, model = Path(folder) / "flows.parquet", Path(folder) / asked.name
        rows = learnt_rows(platform, job.tenant, asked.days)
        rows.write_parquet(table)
        learn(table, model, is_lost)
        version = registered(platform, model, registered_as(job.tenant, asked.name))
    return f"{REGISTRY}{asked.name}@{version.version}"


def learnt_rows(platform: Platform, tenant: str, days: int) -> pl.DataFrame:
    """Return flows with labels: those of judged incidents, and ordinary ones; raises InputError for too few."""
    end = platform.clock.now()
    start = end - days * UNITS["d"]
    known = labels_of(platform, tenant, start)
    if not any(label != BENIGN for label in known.labels.values()):
        remedy = "judge some incidents as true_positive first"
        raise InputError("no flow of the last days is known to be hostile", field="days", remedy=remedy)
    judged = list(flows_named(platform, tenant, list(known.labels)))
    ordinary = ordinary_flows(platform.tables.scan(tenant, "flows", start, end), known)
    frames = [labelled(each, known.labels) for each in (*judged, ordinary) if len(each)]
    rows = pl.concat(frames, how="diagonal_relaxed").unique("flow_id", maintain_order=True)
    return rows.drop(name for name in IDENTITY if name in rows.columns).cast({pl.selectors.numeric(): pl.Float64})


def labels_of(platform: Platform, tenant: str, start: int) -> Labelled:
    """Return what analysts' verdicts say of the flows behind incidents."""
    known = Labelled({}, set())
    for incident, verdict in judged_incidents(platform, tenant, start):
        for detection in incident["detections"]:
            label = family(detection["category"]).name if verdict == "true_positive" else BENIGN
            if verdict in ("", "unsure"):
                known.kept_out.update(detection["flow_ids"])
            else:
                known.labels.update(dict.fromkeys(detection["flow_ids"], label))
    return known


def judged_incidents(platform: Platform, tenant: str, start: int) -> Iterator[tuple[dict, str]]:  # type: ignore[type-arg]
    """Yield incidents since a time, each with its verdict."""
    for row in every(platform.records, tenant, INCIDENTS, Filter("last_seen", ">=", (start,))):
        record = msgspec.json.decode(row.body)
        yield record["incident"], record["verdict"]


def flows_named(platform: Platform, tenant: str, identities: Sequence[int]) -> Iterator[pl.DataFrame]:
    """Yield flows by their identities."""
    for first in range(0, len(identities), MOST_ALTERNATIVES):
        wanted = Filter("flow_id", "=", tuple(identities[first : first + MOST_ALTERNATIVES]))
        rows, _ = platform.tables.page(tenant, "flows", Query((wanted,), limit=MOST_ROWS))
        if rows:
            yield pl.DataFrame(rows, infer_schema_length=None)


def ordinary_flows(frames: Iterable[pl.DataFrame], known: Labelled) -> pl.DataFrame:
    """Return flows of no incident, drawn evenly, with the same ones from the same flows."""
    excluded = pl.Series(sorted({*known.labels, *known.kept_out}), dtype=pl.UInt64)
    kept = pl.DataFrame()
    for frame in frames:
        free = frame.filter(~pl.col("flow_id").is_in(excluded.implode()))
        both = pl.concat([kept, free], how="diagonal_relaxed") if len(kept) else free
        kept = both.sort(pl.col("flow_id").hash(seed=0)).head(MOST_ORDINARY)
    return kept


def labelled(frame: pl.DataFrame, labels: dict[int, str]) -> pl.DataFrame:
    """Return flows with the column of labels, without columns of lists."""
    told = frame["flow_id"].map_elements(lambda flow: labels.get(flow, BENIGN), return_dtype=pl.String)
    return frame.with_columns(told.alias(LABEL)).drop(pl.selectors.nested())


def learn(table: Path, model: Path, is_lost: threading.Event) -> None:
    """Train a model in a process of its own; raises InputError if nothing is learnt, OutputError if it is ended."""
    command = [sys.executable, "-m", "infraspectre.cli", "train", "--data", str(table), "--label", LABEL,
               "--out", str(model), "--quiet"]  # fmt: skip
    with (
        TemporaryFile() as told,  # a pipe that nobody reads meanwhile would stop whoever has much to tell
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=told) as process,  # noqa: S603 - our own command
    ):
        os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
        while process.poll() is None and not is_lost.wait(LOOK_S):
            pass
        if process.poll() is None:
            process.terminate()
            process.wait()
            raise OutputError("learning was ended: the job was cancelled, or the server stopped")
        told.seek(max(told.seek(0, os.SEEK_END) - MOST_TOLD, 0))
        said = told.read().decode("utf-8", "replace")
    if process.returncode != 0:
        reason = said.strip().splitlines()[-1].removeprefix("error: ") if said.strip() else "without a word"
        raise InputError(f"nothing was learnt: {reason.replace(str(table), 'flows')}")


def registered(platform: Platform, model: Path, name: str) -> Version:
    """Keep a model in the registry as a candidate."""
    from infraspectre.modelbook import register

    return register(model, name, "candidate", rfc3339(platform.clock.now()), platform.settings.models)
