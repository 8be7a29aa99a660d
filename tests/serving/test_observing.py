from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from infraspectre.adapters.certificates import Authority
from infraspectre.adapters.log.local import LocalLog
from infraspectre.adapters.sensor_link.listener import SensorState
from infraspectre.adapters.sensor_link.spool import Spool
from infraspectre.adapters.system_clock import SystemClock
from infraspectre.records.delivery import Destination, Progress
from infraspectre.records.feed import FEED_TOPIC, FLOWS_TOPIC, NOTICES_TOPIC
from infraspectre.records.flow_batches import Sensor
from infraspectre.serving.metrics import Metrics
from infraspectre.serving.observing import log_figures, look_around, look_at_receivers, look_at_sensors
from infraspectre.serving.platform import Platform
from infraspectre.settings import DataSettings, ServerSettings, Settings
from link_rooms import flow_rows, make_authority, payload, sending, serving, until
from log_fakes import MemoryLog
from receivers import happen

MINUTE = 60 * 10**9


def figure(metrics: Metrics, name: str, *labels: str) -> float:
    return metrics.figures()[name]["\x1f".join(labels)][0]


def test_disks_and_certificates_are_looked_at(tmp_path: Path) -> None:
    authority: Authority = make_authority(tmp_path)
    assert authority
    certificate = tmp_path / "server.pem"
    settings = Settings(data=DataSettings(str(tmp_path)), server=ServerSettings(certificate_file=str(certificate)))
    platform = Platform(None, None, MemoryLog(), settings)  # type: ignore[arg-type]
    look_around(platform)
    metrics = platform.metrics
    free, size = (figure(metrics, f"infraspectre_disk_{what}_bytes", "data") for what in ("free", "size"))
    assert 0 < free <= size
    now = SystemClock().now() / 10**9
    assert figure(metrics, "infraspectre_certificate_expiry_timestamp_seconds", "server") > now


def test_a_certificate_that_cannot_be_read_just_now_keeps_its_figure_away(tmp_path: Path) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate")
    settings = Settings(data=DataSettings(str(tmp_path)), server=ServerSettings(certificate_file=str(broken)))
    platform = Platform(None, None, MemoryLog(), settings)  # type: ignore[arg-type]
    look_around(platform)
    assert "infraspectre_certificate_expiry_timestamp_seconds" not in platform.metrics.figures()


def test_what_became_of_entries_is_counted_by_topic(tmp_path: Path) -> None:
    log = LocalLog(tmp_path, SystemClock())
    log.topic(NOTICES_TOPIC).append([b"a", b"b"]).result()
    metrics = Metrics()
    metrics.adopt("log", log_figures(log, [NOTICES_TOPIC, FLOWS_TOPIC]))
    log.close()
    assert figure(metrics, "infraspectre_log_entries_total", NOTICES_TOPIC, "durable") == 2
    assert list(metrics.figures()["infraspectre_log_entries_total"]) == [f"{NOTICES_TOPIC}\x1fdurable"]


def test_sensors_are_summed_up_without_their_names(tmp_path: Path) -> None:
    metrics = Metrics()

    async def run() -> None:
        spool, log = Spool(tmp_path / "spool", 1 << 20), MemoryLog()
        async with serving(log, None) as (listener, port), sending(spool, port) as link:
            for number in range(3):
                spool.append(payload(number), len(flow_rows(number)))
            await until(lambda: link.state.acknowledged == 3)
            now = listener.clock.now()
            quiet = SensorState("red", "quiet", heard_at=now - 5 * MINUTE, lost={"full": 4}, missing=2)
            gone = SensorState("red", "gone", heard_at=now - 3_000 * MINUTE)
            for each in (quiet, gone):
                msgspec.structs.force_setattr(each, "flows", 10)
                listener.state(Sensor(each.tenant, each.name))
                listener._states[Sensor(each.tenant, each.name)] = each
            look_at_sensors(listener, metrics)
        spool.close()

    asyncio.run(run())
    states = {name: values[0] for name, values in metrics.figures()["infraspectre_sensors"].items()}
    assert states == {"connected": 1, "disconnected": 1, "silent": 1}
    assert 299 < figure(metrics, "infraspectre_sensor_silence_seconds", "") < 320
    assert figure(metrics, "infraspectre_sensor_flows_total", "") == 23
    assert figure(metrics, "infraspectre_sensor_lost_flows_total", "") == 4
    assert figure(metrics, "infraspectre_sensor_missing_batches_total", "") == 2
    assert "red" not in metrics.exposition().decode()


@pytest.mark.parametrize(("position", "waiting"), [(0, 5), (3, 2), (5, 0)])
def test_receivers_are_as_far_behind_as_the_last_of_their_kind(position: int, waiting: int) -> None:
    log = MemoryLog()
    happen(log, 5)
    log.clock.time += MINUTE
    platform = Platform(None, None, log, clock=log.clock)  # type: ignore[arg-type]
    one = Destination(key="a", kind="webhook", name="", url="", created_at=0)
    epoch = log.topic(FEED_TOPIC).epoch
    progress = [
        Progress(f"{epoch}.5"),
        Progress(f"{epoch}.{position}", failures=2),
        Progress(f"{epoch}.0", disabled="it is gone"),
    ]
    look_at_receivers(platform, [(one, each) for each in progress])
    figures = platform.metrics.figures()
    states = {name.split("\x1f")[1]: values[0] for name, values in figures["infraspectre_outbox_receivers"].items()}
    assert states == {"disabled": 1, "failing": 1, "working": 1}
    assert figures.get("infraspectre_outbox_waiting_entries", {"webhook": [0]})["webhook"] == [waiting]
    assert figures.get("infraspectre_outbox_oldest_seconds", {"webhook": [0]})["webhook"] == [60 if waiting else 0]


def test_a_kind_without_receivers_any_more_is_told_to_have_none() -> None:
    log = MemoryLog()
    happen(log, 2)
    platform = Platform(None, None, log, clock=log.clock)  # type: ignore[arg-type]
    one = Destination(key="a", kind="webhook", name="", url="", created_at=0)
    place = Progress(f"{log.topic(FEED_TOPIC).epoch}.0", failures=2)
    look_at_receivers(platform, [(one, place)])
    assert figure(platform.metrics, "infraspectre_outbox_waiting_entries", "webhook") == 2
    look_at_receivers(platform, [])
    figures = platform.metrics.figures()  # without what is 0
    assert not figures.keys() & {"infraspectre_outbox_receivers", "infraspectre_outbox_waiting_entries"}


def test_receivers_of_a_feed_that_began_anew_are_behind_by_all_of_it() -> None:
    log = MemoryLog()
    happen(log, 2)
    platform = Platform(None, None, log, clock=log.clock)  # type: ignore[arg-type]
    one = Destination(key="a", kind="webhook", name="", url="", created_at=0)
    look_at_receivers(replace(platform), [(one, Progress("ffffffff.9"))])
    assert figure(platform.metrics, "infraspectre_outbox_waiting_entries", "webhook") == 2
