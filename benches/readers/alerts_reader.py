"""Runs rules over a capture with InfraSpectre, writes the alerts, and prints what loading and matching took."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from infraspectre_reader import peak_rss_bytes  # type: ignore[import-not-found]

from infraspectre import _core

SETTINGS = {"vars.address-groups.HOME_NET": "any", "vars.address-groups.EXTERNAL_NET": "any", "checksums": "none"}


def main() -> None:
    """Run the rules of the file named second over the capture named first, and write to the file named third."""
    capture, rules_file, out = sys.argv[1:]
    before_cpu_s = time.process_time()
    rules = _core.RuleSet([rules_file], settings=SETTINGS)
    started_s, started_cpu_s = time.perf_counter(), time.process_time()
    reader = _core.AlertReader([capture], rules, settings=SETTINGS)
    with Path(out).open("wb") as file:
        file.writelines(reader)
    cost = {"wall_s": time.perf_counter() - started_s, "cpu_s": time.process_time() - started_cpu_s}
    summary = reader.summary()
    found = {"packets": summary["packets"], "alerts": summary["alerts"], "rules": len(rules)}
    loading = {"load_cpu_s": started_cpu_s - before_cpu_s, "refused": len(rules.refused)}
    print(json.dumps({**found, **loading, **cost, "peak_rss_bytes": peak_rss_bytes()}))


if __name__ == "__main__":
    main()
