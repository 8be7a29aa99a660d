"""Labelled captures as a table: each flow with its context and label, and the capture and source that it is from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from infraspectre.axon import FEATURES, Axon
from infraspectre.capture import CaptureSource
from infraspectre.capture.inputs import CAPTURE_MAGICS, peek
from infraspectre.errors import InputError
from infraspectre.learning.splitting import sample
from infraspectre.ml.detector import Progress

CATALOGUE = "labels.jsonl"
"""Names a file with a line for each capture of a folder: its `path`, its label, and what it comes from (`source`)."""
FLOWS, CAPTURE = "flows.csv", "capture.pcap"
"""What `infraspectre simulate` writes: the label of each flow, beside the capture."""
GROUPS = ("capture", "source")
"""Columns that say what a row is from; rows of one capture stay together, and none is learnt from."""
LEAST_SOURCES = 5
"""Fewest sources that can be held apart from one another; of fewer, captures are."""
UNKNOWN = frozenset({"", "unknown"})
"""Labels that say nothing."""
OF_ONE_NETWORK = frozenset({
    "flow_id", "community_id", "orig_ip", "resp_ip", "orig_port", "resp_port", "orig_mac", "resp_mac", "vlan",
    "inner_vlan", "tunnel", "ip_version", "started_at", "ended_at", "first_packet", "last_packet", "end_reason",
    "truncated_packets", "orig_ttl_min", "orig_ttl_max", "resp_ttl_min", "resp_ttl_max", "orig_initial_window",
    "resp_initial_window", "orig_mss", "resp_mss", "syn_rtt_ms", "handshake_ms", "tls_certificate_not_before",
    "tls_certificate_not_after",
})  # fmt: skip
"""Columns that name hosts, moments, places and systems: they tell captures apart, and mean nothing elsewhere."""
PACKET_MAGICS = CAPTURE_MAGICS[:-1]
"""First bytes of captures, without those of zstd."""
MOST_FLOWS = 20_000
"""Flows of one label taken of one capture; further ones repeat them."""


def holds_captures(folder: Path) -> bool:
    """Tell whether a folder holds captures with labels, as a catalogue or as simulations."""
    return folder.is_dir() and ((folder / CATALOGUE).is_file() or next(simulations(folder), None) is not None)


def is_capture(path: Path) -> bool:
    """Tell whether a file is a capture, by its first bytes; one that is compressed by zstd may be a table as well."""
    return path.is_file() and peek(path).startswith(PACKET_MAGICS)


def simulations(folder: Path) -> Iterator[Path]:
    """Yield the folders at or below this one that hold a capture and the labels of its flows, in order of names."""
    for path in sorted(folder.rglob(FLOWS)):
        if (path.parent / CAPTURE).is_file():
            yield path.parent


def labelled_flows(folder: Path, label: str, progress: Progress | None = None) -> pl.DataFrame:
    """Return the flows of labelled captures with the columns of `flows_of` that travel, GROUPS and the label.

    Raises `InputError` naming file and line where a catalogue cannot be read, and for a label that is nowhere.
    """
    tell = progress or (lambda _what, _share: None)
    parts = list(
        _catalogued(folder, label, tell) if (folder / CATALOGUE).is_file() else _simulated(folder, label, tell)
    )
    if not parts:
        raise InputError("no capture here has this label", path=folder, field=label, remedy="name another column")
    return pl.concat(parts, how="vertical_relaxed")


def group_column(frame: pl.DataFrame) -> str:
    """Return by which of GROUPS rows are held apart: by their source, unless there are few."""
    return "source" if frame["source"].n_unique() >= LEAST_SOURCES else "capture"


def flows_of(path: Path) -> pl.DataFrame:
    """Return the flows of a capture with all features and their context; raise `CaptureError` if it cannot be read."""
    batches = list(flow_batches(path))
    return pl.concat(batches) if batches else pl.DataFrame()


def flow_batches(path: Path) -> Iterator[pl.DataFrame]:
    """Yield what `flows_of` returns, in parts; raise as it does."""
    axon, context = Axon(), [feature.name for feature in FEATURES]
    for batch in CaptureSource([str(path)], "full"):
        if len(batch):
            yield batch.frame.hstack(axon.extract(batch).frame.select(context))


def _simulated(folder: Path, label: str, tell: Progress) -> Iterator[pl.DataFrame]:
    places = list(simulations(folder))
    for number, place in enumerate(places):
        yield simulated_flows(place, label).with_columns(
            capture=pl.lit(place.relative_to(folder).as_posix()), source=pl.lit(_scenario(place))
        )
        tell(f"read {place.name}", (number + 1) / len(places))


def _scenario(place: Path) -> str:
    return str(_said(place)["scenario"])


def _said(place: Path) -> dict[str, Any]:
    """Return what `labels.json` says of a simulation; raise `InputError` where it says no scenario or behaviours."""
    path = place / "labels.json"
    try:
        said: dict[str, Any] = json.loads(path.read_bytes())
        return {
            "scenario": said["scenario"],
            "categories": {each["name"]: _category(each) for each in said["behaviours"]},
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        remedy = "simulate it again"
        raise InputError(f"does not say scenario and behaviours: {error!r}", path=path, remedy=remedy) from error


def _category(behaviour: dict[str, Any]) -> str:
    return str(behaviour["category"]) if behaviour["attack"] else "benign"


def _with_category(told: pl.DataFrame, place: Path) -> pl.DataFrame:
    """Add the category of each flow's behaviour, such as scan; that of every benign behaviour is benign."""
    categories = _said(place)["categories"]
    return told.with_columns(
        category=pl.col("behaviour").replace_strict(categories, default="benign", return_dtype=pl.String)
    )


def simulated_flows(place: Path, label: str) -> pl.DataFrame:
    """Return the flows of a simulated capture with the label that `flows.csv` gives each of them.

    The label may be any column of it, or `category`, the kind of attack. A flow has that of the latest conversation
    with its Community ID that began no later.
    """
    told = _with_category(pl.read_csv(place / FLOWS), place)
    if label not in told.columns:
        raise InputError("there is no such column", path=place / FLOWS, field=label, remedy="name one of the labels")
    told = told.select("community_id", "started_at", pl.col(label).cast(pl.String)).sort("started_at")
    flows = flows_of(place / CAPTURE).with_row_index("place").sort("started_at")
    joined = flows.join_asof(told, on="started_at", by="community_id", check_sortedness=False)
    return _kept(joined.sort("place").drop("place").drop_nulls(label), label)


def _catalogued(folder: Path, label: str, tell: Progress) -> Iterator[pl.DataFrame]:
    entries = list(catalogue(folder / CATALOGUE, label))
    for number, entry in enumerate(entries):
        frame = flows_of(folder / entry["path"])
        if len(frame):
            yield _kept(frame.with_columns(pl.lit(entry[label]).alias(label)), label).with_columns(
                capture=pl.lit(entry["path"]), source=pl.lit(str(entry.get("source") or entry["path"]))
            )
        tell(f"read {entry['path']}", (number + 1) / len(entries))


def _answer(value: object) -> str:
    return "" if value is None else str(value)


def catalogue(path: Path, label: str) -> Iterator[dict[str, Any]]:
    """Yield the captures of a catalogue whose label says something; raise `InputError` naming a line at fault."""
    with path.open("rb") as file:
        for number, line in enumerate(islice(file, 1_000_000), start=1):
            try:
                entry = json.loads(line)
                answer, place = _answer(entry.get(label)), Path(entry["path"])
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                remedy = "write a JSON object with path and label on each line"
                raise InputError(f"line {number} names no capture: {error!r}", path=path, remedy=remedy) from error
            if place.is_absolute() or ".." in place.parts:
                raise InputError(f"line {number} leads out of the folder", path=path, remedy="name paths inside it")
            if answer not in UNKNOWN:
                yield {**entry, "path": place.as_posix(), label: answer}


def _kept(frame: pl.DataFrame, label: str) -> pl.DataFrame:
    """Keep the columns that travel, and of many flows with one label some."""
    travels = [
        name
        for name, dtype in frame.schema.items()
        if name not in OF_ONE_NETWORK and not dtype.is_nested() and (name == label or name not in GROUPS)
    ]
    parts = frame.select(travels).partition_by(label, maintain_order=True)
    return pl.concat([sample(part, MOST_FLOWS) for part in parts]) if parts else frame.select(travels)
