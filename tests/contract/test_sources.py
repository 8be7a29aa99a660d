"""Every source of flows keeps the same promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from infraspectre.adapters.alert_log import AlertLog
from infraspectre.adapters.columns import columns
from infraspectre.app import open_source
from infraspectre.ports import FlowSource
from infraspectre.settings import Settings

CASES = Path(__file__).parent.parent / "journey" / "cases"
INPUTS = {"zeek": "zeek-tsv/input", "eve": "eve/input.json", "table": "cicflowmeter-v4/input.csv", "capture": ""}


@pytest.fixture(params=INPUTS)
def source(request: pytest.FixtureRequest, capture: Path) -> FlowSource:
    path = CASES / INPUTS[request.param] if INPUTS[request.param] else capture
    return open_source([path], "full", Settings())


def test_columns_counts_and_progress(source: FlowSource) -> None:
    frames = [batch.frame for batch in source]
    assert all(dict(frame.schema) == columns("full") for frame in frames)
    account = source.account()
    assert account.flows == sum(map(len, frames)) > 0
    assert not account.has_losses
    assert account.capture_start is not None
    assert account.capture_end is not None
    assert account.capture_start <= account.capture_end
    done, total = source.progress()
    assert done == total > 0


def test_alerts_of_other_engines_pass_through() -> None:
    source = open_source([CASES / INPUTS["eve"]], "full", Settings())
    list(source)
    (alert,) = source.alerts()
    assert alert["alert"]["signature_id"] == 2_000_001
    assert "payload" not in alert
    assert alert["timestamp"] == "2026-01-05T08:00:00.000003+0000"


@pytest.mark.parametrize("features", ["base", "full"])
def test_feature_sets_apply_to_logs_too(features: str) -> None:
    (batch,) = open_source([CASES / INPUTS["zeek"]], features, Settings())  # type: ignore[arg-type]
    assert dict(batch.frame.schema) == columns(features)


def test_flows_whose_end_was_not_logged_last_from_first_to_last_event(tmp_path: Path) -> None:
    path = tmp_path / "eve.json"
    event = '{"timestamp":"2026-01-05T09:00:0%d.000000+0100","flow_id":%d,"event_type":"dns","src_ip":"10.0.0.5",'
    event += '"dest_ip":"10.0.0.2","proto":"UDP","dns":{"type":"query","rrname":"a.example","rrtype":"A"}}\n'
    path.write_text("".join(event % (at, flow) for flow in range(40) for at in (1, 3)))
    (batch,) = open_source([path], "full", Settings())
    assert set(batch.frame["ended_at"] - batch.frame["started_at"]) == {2_000_000_000}
    assert batch.frame["duration_ms"].null_count() == 40


def test_packets_of_no_flow_are_accounted_for_by_kind(capture: Path) -> None:
    undecoded = capture.with_name("undecoded.pcap")
    content = bytearray(capture.read_bytes())
    content[20:22] = (9_999).to_bytes(2, "little")
    undecoded.write_bytes(content)
    source = open_source([capture, undecoded], "full", Settings())
    assert sum(map(len, source)) == 1
    assert (source.account().packets, source.account().without_flow) == (2, {"link-type": 1})


def test_many_alerts_leave_memory_and_come_back_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infraspectre.adapters.alert_log.KEPT_BYTES", 100)
    log = AlertLog()
    for number in range(1_000):
        log.append({"event_type": "alert", "flow_id": number})
    assert (len(log), [alert["flow_id"] for alert in log]) == (1_000, list(range(1_000)))
    assert len(list(log)) == 1_000
