"""`infraspectre sensor`: capture here, analyse on the server."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from infraspectre.cli.options import DEFAULT, Common
from infraspectre.cli.output import note
from infraspectre.errors import EXIT_DONE, EXIT_LOSSES, UsageError

if TYPE_CHECKING:
    from infraspectre.capture.settings import RingSettings
    from infraspectre.serving.sensor import Capture, SensorStatus
    from infraspectre.settings import TelemetrySettings


class CaptureOptions(NamedTuple):
    """Says what is captured, and how.

    Parameters
    ----------
    interface
        Capture on this interface.
    filter
        Take only packets that pass this filter, in the language of pcap-filter(7).
    snap_length
        Keep so many bytes of each packet.
    buffer
        Let the kernel keep so many bytes of packets while nobody reads.
    promiscuous
        Take packets to other machines, too.
    fanout
        Capture with so many threads.
    replay
        Replay this capture instead of capturing.
    speed
        Replay so many times as fast as it was recorded; 0 is as fast as possible.
    """

    interface: str | None = None
    filter: str = ""
    snap_length: int | None = None
    buffer: int | None = None
    promiscuous: bool = False
    fanout: int | None = None
    replay: Path | None = None
    speed: float = 1.0


class LinkOptions(NamedTuple):
    """Says how the server is reached, and how it knows the sensor.

    Parameters
    ----------
    name
        Name of the sensor; that of its certificate by default.
    certificate
        Show the server this certificate (PEM).
    key
        Read the certificate's private key from this file (PEM), which nobody else may read.
    ca
        Trust servers whose certificate this authority has signed (PEM).
    revoked
        Do not trust certificates on this list (PEM).
    insecure
        Use no TLS: everybody on the way can read and change what is sent.
    force
        Use no TLS even if the server is another machine.
    spool
        Keep in this folder what the server does not have yet.
    spool_bytes
        Let the spool grow to so many bytes; then the oldest flows are shed and counted.
    user
        Become this user once the interface is open.
    """

    name: str | None = None
    certificate: Path | None = None
    key: Path | None = None
    ca: Path | None = None
    revoked: Path | None = None
    insecure: bool = False
    force: bool = False
    spool: Path | None = None
    spool_bytes: int = 1 << 30
    user: str | None = None


class RingOptions(NamedTuple):
    """Says which packets are kept on disk, for whoever looks into an incident; none by default.

    Parameters
    ----------
    ring
        Keep packets in this folder, which is made for the sensor alone.
    ring_bytes
        Let the ring grow to so many bytes; then the oldest packets go first.
    ring_snap_length
        Keep so many bytes of each packet in the ring.
    ring_hours
        Keep packets no longer than this.
    """

    ring: Path | None = None
    ring_bytes: int = 1 << 30
    ring_snap_length: int = 262_144
    ring_hours: float = 24.0


NOTHING = CaptureOptions()
NO_RING = RingOptions()
NO_LINK = LinkOptions()


def sensor(
    *,
    server: str,
    capture: CaptureOptions = NOTHING,
    link: LinkOptions = NO_LINK,
    ring: RingOptions = NO_RING,
    common: Common = DEFAULT,
) -> int:
    """Capture on an interface, or replay a capture, and send the flows to a server.

    Whatever the server does not have yet lies in a spool on disk. How the sensor is, is told every ten seconds on
    stderr, with --json as lines of JSON on stdout. It ends with the replay, or when it is told to (SIGTERM, SIGINT),
    and then sends what is left, unless it is told so twice. The exit status is 3 if something was lost.

    Parameters
    ----------
    server
        Send to this server, as HOST:PORT.
    """
    from infraspectre.serving.sensor import SensorPlan, run

    plan = SensorPlan(
        address(server), opener(capture, common), link.spool, link.spool_bytes, link.name, link.certificate, link.key,
        link.ca, link.revoked, link.insecure, link.force, link.user, telemetry(common), ring_settings(ring),
    )  # fmt: skip
    tell = teller(common)
    status = run(plan, tell)
    tell(status)
    waiting = status.spool["queued"]["flows"]
    if waiting and not common.quiet:
        note(f"{waiting:,} flows wait in the spool for the next start")
    return EXIT_LOSSES if status.has_losses else EXIT_DONE


def address(text: str) -> tuple[str, int]:
    """Return host and port of HOST:PORT or [HOST]:PORT; raises UsageError."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise UsageError(f"{text!r} is no address of a server", remedy="write HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)


def opener(capture: CaptureOptions, common: Common) -> Callable[[], Capture]:
    """Return what opens the source that the options name; raises UsageError unless it is one."""
    from infraspectre import app
    from infraspectre.serving import sensor as serving

    if (capture.interface is None) == (capture.replay is None):
        raise UsageError("nothing to capture, or too much", remedy="give either --interface or --replay")
    settings = app.chosen_settings(common.config)
    flows = settings.flows if settings else None
    if capture.replay is not None:
        path = capture.replay
        return lambda: serving.replay(path, capture.speed, flows)
    interface, options = capture.interface or "", settings_of(capture)
    return lambda: serving.listen(interface, options, flows)


def ring_settings(chosen: RingOptions) -> RingSettings | None:
    """Return which packets are kept, None for none; raises UsageError for what cannot be."""
    import msgspec

    from infraspectre.capture.settings import RingSettings

    if chosen.ring is None:
        if chosen != NO_RING:
            raise UsageError("there is no ring for packets", remedy="give its folder with --ring")
        return None
    wanted = (str(chosen.ring), chosen.ring_bytes, chosen.ring_snap_length, chosen.ring_hours)
    try:
        return msgspec.convert(dict(zip(RingSettings.__struct_fields__, wanted, strict=True)), RingSettings)
    except msgspec.ValidationError as error:
        raise UsageError(f"such a ring cannot be: {error}", remedy="--help shows what may be given") from error


def telemetry(common: Common) -> TelemetrySettings:
    """Return which traces the sensor tells, and to whom."""
    from infraspectre import app
    from infraspectre.settings import TelemetrySettings

    settings = app.chosen_settings(common.config)
    return settings.telemetry if settings else TelemetrySettings()


def settings_of(capture: CaptureOptions) -> dict[str, Any]:
    """Return the settings of live capture that were chosen."""
    chosen = {"snap_bytes": capture.snap_length, "buffer_bytes": capture.buffer, "threads": capture.fanout}
    found: dict[str, Any] = {name: value for name, value in chosen.items() if value is not None}
    return found | {"filter": capture.filter, "promiscuous": capture.promiscuous}


def teller(common: Common) -> Callable[[SensorStatus], None]:
    """Return what tells how the sensor is."""
    if common.json:
        return print_line
    return (lambda status: None) if common.quiet else lambda status: note(line(status))


def print_line(status: SensorStatus) -> None:
    """Print a status as one line of JSON."""
    import msgspec

    print(msgspec.json.encode(status).decode())
    sys.stdout.flush()


def line(status: SensorStatus) -> str:
    """Say on one line how a sensor is."""
    counts = {name: status.spool[name]["flows"] for name in ("received", "sent", "queued")}
    where = "connected" if status.is_connected else f"not connected ({status.problem or 'not yet'})"
    lost = "".join(f", {count:,} lost: {reason}" for reason, count in status.lost.items())
    return (
        f"{where}; {status.capture.get('packets', 0):,} packets; flows: "
        + ", ".join(f"{count:,} {name}" for name, count in counts.items())
        + lost
    )
