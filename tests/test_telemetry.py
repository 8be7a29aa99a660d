from __future__ import annotations

from infraspectre.telemetry import Meter


def test_a_meter_measures_what_was_spent() -> None:
    meter = Meter()
    sum(range(300_000))
    cost = meter.cost()
    assert 0 < cost.elapsed_s < 60
    assert 0 < cost.cpu_s < 60
    assert cost.peak_rss_bytes > 1 << 20
