"""Listens to an interface with NFStream; it prints what it processed and dropped every second, until it is ended."""

from __future__ import annotations

import sys

import nfstream.meter  # type: ignore[import-not-found]
import nfstream.streamer  # type: ignore[import-not-found]


def main() -> None:
    """Listen to the interface named first, with a buffer of so many bytes as are named second."""
    # It would choose cores by itself, that of the generator among them; both programs get the one that they are given.
    nfstream.meter.set_affinity = nfstream.streamer.set_affinity = lambda _core: None
    streamer = nfstream.streamer.NFStreamer(
        source=sys.argv[1],
        statistical_analysis=True,
        n_dissections=0,
        n_meters=1,
        performance_report=1,
        socket_buffer_size=int(sys.argv[2]),
    )
    for _ in streamer:
        pass


if __name__ == "__main__":
    main()
