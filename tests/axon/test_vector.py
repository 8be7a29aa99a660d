"""The vector has 100 named features within their ranges, knows no batches, is saved whole, and migrates."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow_rows import START, flow, frame, unanswered
from infraspectre.axon import FEATURES, VECTOR, Axon, DomainFacts, HostFacts, Vectors, VectorState, agreement
from infraspectre.axon.memory import Memory
from infraspectre.ml.detector import Judgement
from infraspectre.records import FlowBatch

DAY_NS = 86_400 * 1_000_000_000
VERSION_1 = [
    f"{side}_host_{count}_{window}s"
    for side in ("orig", "resp")
    for window in (60, 600)
    for count in ("flows", "peers", "ports", "failed_share", "sent_bytes", "received_bytes")
] + ["is_new_destination", "resp_host_rarity_bits", "resp_port_rarity_bits", "resp_host_orig_hosts"]
"""The names of the first version, which no later change may touch."""


class Known:
    """Knows one address and one name."""

    def hosts(self, addresses: Sequence[str]) -> list[HostFacts]:
        known = HostFacts(0.9, 64_500, 0.5, is_tor=True, first_seen_at=START - 2 * DAY_NS)
        return [known if address == "192.0.2.1" else HostFacts(asn=64_501) for address in addresses]

    def domains(self, names: Sequence[str]) -> list[DomainFacts]:
        return [DomainFacts(0.7, START - 3 * DAY_NS) if name == "new.example" else DomainFacts() for name in names]


def rows() -> pl.DataFrame:
    random = np.random.default_rng(1)
    flows = []
    for at in range(300):
        count = int(random.integers(1, 40))
        signs = random.choice([-1, 1], count)
        flows.append(
            flow(
                at * 7,
                orig_ip=f"10.0.0.{random.integers(9)}",
                resp_ip=f"{random.choice(['10.0.0', '192.0.2'])}.{random.integers(9)}",
                resp_port=int(random.choice([80, 443, 53])),
                protocol=str(random.choice(["tcp", "udp"])),
                packet_sizes=(signs * random.integers(40, 1500, count)).tolist()[:32],
                packet_gaps_us=random.integers(0, 2**32, count).tolist()[:32],
                packet_flags=random.choice([16, 24, 2], count).tolist()[:32],
                orig_packets=count,
            )
        )
    return frame([*flows, *(unanswered(2_200 + at / 10, resp_port=at) for at in range(100))])


def vectors(flows: pl.DataFrame, cuts: Sequence[int] = (), maker: Vectors | None = None) -> pl.DataFrame:
    axon, maker = Axon(), maker or Vectors(Known())
    ends = [0, *sorted(cuts), len(flows)]
    batches = [FlowBatch(flows[at:end]) for at, end in pairwise(ends)]
    return pl.concat([maker.extract(batch, axon.extract(batch)) for batch in batches])


def test_there_are_a_hundred_names_that_say_what_they_are() -> None:
    assert len(VECTOR.names) == len({*VECTOR.names}) == 100
    assert not [name for name in VECTOR.names if name.startswith("feature")]
    assert all(feature.definition and feature.low < feature.high for feature in VECTOR.features)
    found = vectors(rows())
    assert found.columns == VECTOR.names
    assert set(found.dtypes) == {pl.Float32}


def test_sources_are_columns_of_flows() -> None:
    named = {source for feature in VECTOR.features for source in feature.sources}
    assert named <= {*rows().columns}
    assert all(feature.sources for feature in VECTOR.features if feature.group != "agreement")


def test_known_values_lie_within_their_ranges() -> None:
    found = vectors(rows())
    for feature in VECTOR.features:
        values = found[feature.name].drop_nulls()
        assert values.is_finite().all()
        assert values.is_between(feature.low - 1e-6, feature.high + 1e-5).all(), feature.name


def test_what_nobody_told_is_unknown_and_all_else_is_made() -> None:
    found = vectors(rows(), maker=Vectors())
    unknown = {name for name in found.columns if found[name].null_count() == len(found)}
    told = {feature.name for feature in VECTOR.features if feature.group in ("intelligence", "agreement")}
    given = {feature.name for feature in VECTOR.features if feature.expression is not None}
    assert unknown - given == told | {"orig_host_asn_changes"}


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 400), max_size=6))
def test_batch_boundaries_do_not_matter(cuts: list[int]) -> None:
    assert vectors(rows(), cuts).equals(vectors(rows()))


def test_batch_boundaries_do_not_matter_where_memories_forget(monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"pairs": (8, 6), "hosts": (8, 2), "origs": (8, 3), "resps": (8, 3)}
    small |= {"orig_ports": (8, 1), "resp_ports": (8, 1), "networks": (8, 2)}
    monkeypatch.setattr("infraspectre.axon.vector.MEMORIES", small)
    whole = vectors(rows())
    assert vectors(rows(), [3, 63, 64, 65, 127, 200, 390]).equals(whole)
    assert whole["pair_flows"].sum() < 300 * 299 / 2


def test_a_row_knows_nothing_of_later_rows() -> None:
    assert vectors(rows()[:150]).equals(vectors(rows())[:150])


def test_saved_state_survives_encoding() -> None:
    flows, axon, maker, later = rows(), Axon(), Vectors(Known()), Vectors(Known())
    first, second = FlowBatch(flows[:150]), FlowBatch(flows[150:])
    maker.extract(first, axon.extract(first))
    later.load(msgspec.msgpack.decode(msgspec.msgpack.encode(maker.save()), type=VectorState))
    assert later.extract(second, axon.extract(second)).equals(vectors(flows)[150:])


def test_memory_is_bounded_and_keeps_what_is_used() -> None:
    memory = Memory(8, 1)
    for key in range(1, 100):
        memory.write([0, key], np.array([[7], [key]]))
        memory.turn()
    assert len(memory) <= 9
    assert memory.read([0, 99, 5]).tolist() == [[7], [99], [0]]
    assert [99] in memory.latest(4).tolist()
    assert memory.latest(2).shape == (2, 1)


def test_intelligence_is_asked_and_told() -> None:
    talks = [
        flow(0, resp_ip="192.0.2.1", tls_server_name="new.example"),
        flow(1, resp_ip="192.0.2.2", dns_queries=["other.example"]),
        flow(2, resp_ip="192.0.2.1"),
    ]
    found = vectors(frame(talks))
    assert found["resp_reputation"].to_list() == pytest.approx([0.9, None, 0.9])
    assert found["resp_is_tor"].to_list() == [1, None, 1]
    assert found["domain_age_days"].to_list() == [3, None, None]
    assert found["domain_reputation"].to_list() == pytest.approx([0.7, None, None])
    assert found["resp_first_seen_days"][0] == pytest.approx(2)
    assert found["orig_host_asn_changes"].to_list() == [0, 1, 2]


def test_a_beacon_is_regular_and_a_person_is_not() -> None:
    beacon = [flow(60 * at, orig_ip="10.0.0.1") for at in range(20)]
    person = [flow(60 * at + (at * 7919) % 53, orig_ip="10.0.0.2") for at in range(20)]
    last = vectors(frame(sorted(beacon + person, key=lambda row: row["ended_at"]))).tail(2)
    assert last["pair_interval_s_mean"].to_list() == pytest.approx([60, 60], abs=3)
    regular = dict(zip(last["pair_interval_regularity"].round(2), ("one", "other"), strict=True))
    assert 1.0 in regular
    assert min(regular) < 0.9


def test_sequences_are_told_as_they_were() -> None:
    talk = flow(
        packet_sizes=[60, -60, 52, 300, -1500, -1500, 52, 300, -1500],
        packet_gaps_us=[0, 900, 900, 900, 2**31, 900, 900, 2**31, 900],
        packet_flags=[2, 18, 16, 24, 16, 24, 16, 24, 24],
    )
    found = vectors(frame([talk, flow(1, protocol="udp", packet_sizes=[80], packet_gaps_us=[0], packet_flags=[0])]))
    first, second = found.row(0, named=True), found.row(1, named=True)
    assert [first[f"message_{number}_bytes"] for number in (1, 2, 3, 4)] == [300, -1500, 300, -1500]
    assert [second[f"message_{number}_bytes"] for number in (1, 2)] == [80, None]
    assert first["packet_direction_changes"] == 5
    assert first["packet_longest_run"] == 2
    assert first["packet_bursts"] == 2
    shares = np.array([1, 1, 2, 2, 3]) / 9
    assert first["packet_bytes_entropy_bits"] == pytest.approx(-(shares * np.log2(shares)).sum())
    assert first["packet_orig_byte_share"] == pytest.approx(764 / 5324)
    assert second["packet_gap_regularity"] is None


def test_the_graph_knows_who_is_between() -> None:
    star = [flow(at, orig_ip=f"10.0.0.{1 + at % 40}", resp_ip="192.0.2.1") for at in range(70)]
    last = vectors(frame(star)).row(-1, named=True)
    assert last["resp_host_betweenness"] == pytest.approx(1.0)
    assert last["orig_host_betweenness"] == last["resp_host_clustering"] == 0.0
    assert last["resp_host_degree_in"] == 40
    clique = [flow(at, orig_ip=f"10.0.0.{at % 4}", resp_ip=f"10.0.0.{at // 4 % 4}") for at in range(70)]
    assert vectors(frame(clique)).row(-1, named=True)["orig_host_clustering"] == 1.0


def test_a_scan_spreads_over_ports() -> None:
    scan = vectors(frame([unanswered(at / 10, resp_port=at + 1) for at in range(256)])).row(-1, named=True)
    assert scan["orig_host_port_entropy_bits_600s"] == pytest.approx(8.0, abs=0.01)
    assert scan["orig_host_new_peers_600s"] <= 1


def test_models_agree_or_not() -> None:
    def judged(labels: list[str], probabilities: list[float]) -> Judgement:
        given = np.array(probabilities)
        return Judgement(labels, given, given, given, given)

    found = agreement(
        [judged(["benign", "x"], [0.1, 0.9]), judged(["normal", "normal"], [0.1, 0.3])], ["benign", "normal"]
    )
    assert found["models_flagging_share"].to_list() == [0.0, 0.5]
    assert found["models_probability_mean"].to_list() == pytest.approx([0.1, 0.6])
    assert found["models_probability_spread"].to_list() == pytest.approx([0.0, 0.3], abs=1e-6)


def test_versions_are_told_by_names_and_migrate() -> None:
    assert {*VERSION_1} == {feature.name for feature in FEATURES} == {*VECTOR.names_of(1)}
    assert VECTOR.version_of(VERSION_1) == 1
    assert VECTOR.version_of(["label", *VECTOR.names]) == 2
    assert VECTOR.version_of(VERSION_1[1:]) is None


def test_a_table_of_version_1_becomes_one_of_the_present() -> None:
    flows = FlowBatch(rows())
    old = Axon().extract(flows).frame.select(feature.name for feature in FEATURES).with_columns(label=pl.lit("benign"))
    migrated, made = VECTOR.migrate(old, 1), vectors(rows())
    assert migrated.columns == ["label", *VECTOR.names]
    kept = [name for name in VECTOR.names if name not in VECTOR.changes[0].added]
    assert len(kept) == 24
    assert migrated.select(kept).equals(made.select(kept))
    assert migrated.select(VECTOR.changes[0].added).null_count().sum_horizontal().item() == 76 * len(old)
    told = VECTOR.migrate(old.with_columns(duration_ms=pl.lit(5.0)), 1)["duration_ms"]
    assert told.to_list() == [5.0] * len(old), "a column that is there already means what it is called"
