"""Is what each process of the platform runs; `infraspectre serve` starts them."""

from __future__ import annotations

import os
import signal
import sys

from infraspectre.errors import EXIT_FAILED, InfraSpectreError
from infraspectre.serving.control import Control
from infraspectre.serving.logs import configure


def main() -> int:
    """Run the role that the supervisor names, and return the exit status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the supervisor decides
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    control = Control()
    start = control.start()
    signal.signal(signal.SIGTERM, lambda *_: control.stopped.set())
    log = configure(start.role)
    try:
        if start.role == "worker":
            from infraspectre.serving.working import work

            work(start.settings, control)
        elif start.role == "demo":
            from infraspectre.serving.demo import play

            play(start.settings, control)
        else:
            from infraspectre.api.server import serve

            serve(start.settings, control)
    except InfraSpectreError as error:
        log.error("cannot go on", reason=error.message)
        return error.exit_status
    except Exception:
        log.exception("failed")
        return EXIT_FAILED
    return 0


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    os._exit(status)  # what is held was released; libraries need not take down theirs, piece by piece
