"""Listens to an interface with InfraSpectre until its standard input ends, then prints its account as JSON."""

from __future__ import annotations

import json
import sys
import threading
import time

from infraspectre.capture import LiveSource
from infraspectre.capture.settings import CaptureSettings


def main() -> None:
    """Listen to the interface named first; block timeout in milliseconds and bytes of the ring come after it."""
    interface, block_timeout_ms, buffer_bytes = sys.argv[1:4]
    settings = CaptureSettings(block_timeout_ms=int(block_timeout_ms), buffer_bytes=int(buffer_bytes))
    source = LiveSource(interface, settings=settings)
    threading.Thread(target=stop_at_end_of_input, args=(source,), daemon=True).start()
    print("listening", flush=True)
    rows, started_cpu_s = 0, time.process_time()
    for batch in source:
        rows += len(batch)
    account = source.account()
    found = {"packets": account.packets, "dropped": account.dropped, "received": account.received, "shed": account.shed}
    print(json.dumps(found | {"rows": rows, "flows": account.flows, "cpu_s": time.process_time() - started_cpu_s}))


def stop_at_end_of_input(source: LiveSource) -> None:
    """Stop listening when whoever started this closes the pipe."""
    sys.stdin.read()
    source.stop()


if __name__ == "__main__":
    main()
