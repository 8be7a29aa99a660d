from __future__ import annotations

from infraspectre.api.server import note
from infraspectre.serving.control import News, Report
from infraspectre.serving.metrics import FLOWS, Metrics


def test_what_the_worker_counted_is_shown_also_while_it_is_away() -> None:
    metrics, worker = Metrics(), Metrics()
    worker.add(FLOWS, "processed", count=3)
    note(News("worker", Report("ready", metrics=worker.figures())), metrics)
    text = metrics.exposition().decode()
    assert 'infraspectre_process_up{process="worker"} 1.0' in text
    assert 'infraspectre_flows_total{outcome="processed"} 3.0' in text
    note(News("worker", None, restarts=1), metrics)
    text = metrics.exposition().decode()
    assert 'infraspectre_process_up{process="worker"} 0.0' in text
    assert 'infraspectre_flows_total{outcome="processed"} 3.0' in text
