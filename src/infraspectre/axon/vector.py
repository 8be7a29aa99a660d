"""Makes the feature vector of each flow: from the flow itself, its sequence of packets, and what came before it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from infraspectre.axon.features import FeatureBatch
from infraspectre.axon.graph import MOST_EDGES, Graph, GraphState
from infraspectre.axon.intelligence import Intelligence, known
from infraspectre.axon.memory import Memory, MemoryState
from infraspectre.axon.rows import Rows
from infraspectre.axon.schema import DTYPE, VECTOR
from infraspectre.axon.sequences import regularity, sequences
from infraspectre.axon.window import Columns
from infraspectre.ml.detector import Judgement
from infraspectre.ml.grouping import Counts, Groups, Hashes, mix
from infraspectre.records import FlowBatch

EPOCH = 4_096
"""Flows after which the graph is measured again and memories may forget; early on, whenever flows have doubled."""
FIRST_EPOCH = 64
WINDOW_S = 600
MEMORIES = {
    "pairs": (65_536, 6),
    "hosts": (65_536, 2),
    "origs": (32_768, 3),
    "resps": (32_768, 3),
    "orig_ports": (65_536, 1),
    "resp_ports": (65_536, 1),
    "networks": (32_768, 2),
}
"""How many keys each memory holds, give or take those of an epoch, and how many numbers for each."""
MILLISECOND = 1_000_000
LONGEST_INTERVAL_MS = 86_400_000
UNIT_BITS = 16
"""Fractional bits of the whole numbers that entropies are summed in: sums are the same in any order."""


class VectorState(msgspec.Struct):
    """Holds what the maker of vectors remembers between batches, as plain data."""

    flows: int
    clock_s: int
    memories: dict[str, MemoryState]
    graph: GraphState


class Vectors:
    """Gives each flow its vector; causal in the order of rows, the same however rows are cut into batches."""

    def __init__(self, intelligence: Intelligence | None = None) -> None:
        """Start with no past; `intelligence` says what is known of hosts and names."""
        self._intelligence = intelligence
        self._memories = {name: Memory(capacity, width) for name, (capacity, width) in MEMORIES.items()}
        self._flows, self._clock_s = 0, 0
        self._graph = Graph.load(GraphState([], [], []))

    def extract(self, flows: FlowBatch, context: FeatureBatch) -> pl.DataFrame:
        """Return the vectors of flows, whose context features Axon gave; unknown values are null."""
        parts, at = [pl.DataFrame(schema=dict.fromkeys(VECTOR.names, DTYPE))], 0
        while at < len(flows):
            end = min(len(flows), at + _epoch_end(self._flows) - self._flows)
            parts.append(self._within_epoch(flows.frame[at:end], context.frame[at:end]))
            at = end
        return pl.concat(parts)

    def save(self) -> VectorState:
        """Return everything remembered."""
        memories = {name: memory.save() for name, memory in self._memories.items()}
        return VectorState(self._flows, self._clock_s, memories, self._graph.save())

    def load(self, state: VectorState) -> None:
        """Go on from a saved state."""
        self._flows, self._clock_s, self._graph = state.flows, state.clock_s, Graph.load(state.graph)
        for name, memory in self._memories.items():
            memory.load(state.memories[name])

    def _within_epoch(self, frame: pl.DataFrame, context: pl.DataFrame) -> pl.DataFrame:
        end = _epoch_end(self._flows)
        rows = Rows.read(frame, self._clock_s)
        facts = known(frame, self._intelligence)
        columns: Columns = {name: values.to_numpy() for name, values in context.to_dict().items()}
        columns |= sequences(frame) | facts.columns
        pairs, is_new = self._pairs(rows, frame["started_at"].fill_null(0).to_numpy() // MILLISECOND)
        columns |= pairs | self._degrees(rows, is_new) | self._windows(rows, is_new) | self._centrality(rows)
        columns["orig_host_asn_changes"] = self._network_changes(rows.orig, facts.resp_asn)
        self._clock_s = int(rows.clock_s[-1])
        self._flows += len(frame)
        if self._flows == end:
            self._turn()
        return _assembled(frame, columns)

    def _turn(self) -> None:
        """End an epoch: measure the graph again, and let memories forget."""
        hosts = self._memories["pairs"].latest(MOST_EDGES)[:, 4:].astype(np.uint64)
        self._graph = Graph.of(hosts[:, 0], hosts[:, 1])
        for memory in self._memories.values():
            memory.turn()

    def _running(self, memory: str, groups: Groups, *steps: Counts) -> Counts:
        """Return running sums per group on top of what is remembered (rows, steps), and remember them."""
        table = np.column_stack(steps)
        before = self._memories[memory].read(groups.keys)
        self._memories[memory].write(groups.keys, groups.totals(table, before))
        return groups.running(table, before)

    def _pairs(self, rows: Rows, start_ms: Counts) -> tuple[Columns, Counts]:
        """Return the features of pairs of hosts, and 1 for each row whose pair is new."""
        groups, memory = Groups(mix(rows.orig, rows.resp)), self._memories["pairs"]
        before = memory.read(groups.keys)
        is_new = groups.flag_first((before[:, 0] == 0).tolist())
        interval = np.clip(start_ms - groups.previous(start_ms, before[:, 3]), 0, LONGEST_INTERVAL_MS) * (1 - is_new)
        steps = np.column_stack([np.ones_like(interval), interval, interval**2])
        ends = np.column_stack([each[groups.first_rows].view(np.int64) for each in (rows.orig, rows.resp)])
        memory.write(groups.keys, np.column_stack([groups.totals(steps, before[:, :3]), groups.last(start_ms), ends]))
        flows, total, squares = groups.running(steps, before[:, :3]).T
        columns: Columns = {
            "pair_flows": flows,
            "pair_interval_s_mean": np.where(flows > 1, total / np.maximum(flows - 1, 1) / 1_000, np.nan),
            "pair_interval_regularity": regularity(flows - 1, total, squares),
        }
        return columns, is_new

    def _degrees(self, rows: Rows, is_new: Counts) -> Columns:
        both = np.column_stack([rows.orig, rows.resp]).ravel()
        nothing = np.zeros_like(is_new)
        outward, inward = np.column_stack([is_new, nothing]).ravel(), np.column_stack([nothing, is_new]).ravel()
        degrees = self._running("hosts", Groups(both), outward, inward).reshape(-1, 2, 2)
        return {
            f"{side}_host_degree_{way}": degrees[:, place, number]
            for place, side in enumerate(("orig", "resp"))
            for number, way in enumerate(("out", "in"))
        }

    def _windows(self, rows: Rows, is_new: Counts) -> Columns:
        """Return what hosts did in their present window: entropies of ports, and new peers."""
        number = (rows.clock_s // WINDOW_S).astype(np.uint64)
        columns: Columns = {}
        for side, hosts in (("orig", rows.orig), ("resp", rows.resp)):
            window = mix(number, hosts)
            every = np.ones_like(is_new)
            times = self._running(f"{side}_ports", Groups(mix(window, rows.port)), every)[:, 0]
            steps = _weight(times) - _weight(times - 1)
            flows, news, weights = self._running(f"{side}s", Groups(window), every, is_new, steps).T
            entropy = np.log2(flows) - weights / 2.0**UNIT_BITS / flows
            columns[f"{side}_host_port_entropy_bits_{WINDOW_S}s"] = np.maximum(entropy, 0.0)
            columns |= {f"orig_host_new_peers_{WINDOW_S}s": news} if side == "orig" else {}
        return columns

    def _centrality(self, rows: Rows) -> Columns:
        columns: Columns = {}
        for side, hosts in (("orig", rows.orig), ("resp", rows.resp)):
            columns[f"{side}_host_clustering"] = self._graph.clustering(hosts)
            columns[f"{side}_host_betweenness"] = self._graph.betweenness(hosts)
        return columns

    def _network_changes(self, hosts: Hashes, asn: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how often a host's destinations changed their network so far; NaN where that is not known."""
        changes = np.full(len(hosts), np.nan)
        told = ~np.isnan(asn)
        if told.any():
            groups, memory, number = Groups(hosts[told]), self._memories["networks"], asn[told].astype(np.int64)
            before = memory.read(groups.keys)
            last = groups.previous(number, before[:, 1])
            steps = ((last != 0) & (last != number)).astype(np.int64)[:, None]
            memory.write(groups.keys, np.column_stack([groups.totals(steps, before[:, :1]), groups.last(number)]))
            changes[told] = groups.running(steps, before[:, :1])[:, 0]
        return changes


def agreement(judgements: Sequence[Judgement], benign: Sequence[str]) -> pl.DataFrame:
    """Return the agreement features of rows that models judged; `benign` names the benign class of each model."""
    pairs = zip(judgements, benign, strict=True)
    flags = np.array([[label != name for label in judgement.labels] for judgement, name in pairs], dtype=np.float64)
    given = np.array([judgement.probabilities for judgement in judgements])
    values = (flags.mean(axis=0), given.mean(axis=0), given.std(axis=0))
    names = [feature.name for feature in VECTOR.features if feature.group == "agreement"]
    return pl.DataFrame(dict(zip(names, values, strict=True))).cast(DTYPE)


def _epoch_end(flows: int) -> int:
    """Return after how many flows the epoch ends that the next flow is in."""
    if flows >= EPOCH:
        return (flows // EPOCH + 1) * EPOCH
    end = FIRST_EPOCH
    while end <= flows:
        end *= 2
    return end


def _weight(times: Counts) -> Counts:
    """Return n log2 n, which entropies are made of, as whole numbers of 2**-UNIT_BITS."""
    weights = times * np.log2(np.maximum(times, 1))
    return np.asarray(np.rint(weights * 2.0**UNIT_BITS), dtype=np.int64)


def _assembled(frame: pl.DataFrame, columns: Columns) -> pl.DataFrame:
    """Return the features in their order, unknown ones as null."""
    nothing = np.full(len(frame), np.nan)
    own = frame.select(
        each.expression.cast(DTYPE).alias(each.name) for each in VECTOR.features if each.expression is not None
    )
    others = pl.DataFrame(
        {each.name: columns.get(each.name, nothing) for each in VECTOR.features if each.expression is None}
    )
    whole = pl.concat([own, others.cast(DTYPE)], how="horizontal").select(VECTOR.names)
    return whole.with_columns(pl.when(pl.all().is_finite()).then(pl.all()))
