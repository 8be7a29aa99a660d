"""Connections that stay open: notifications pushed to a client, chats, sensors' messages and cameras' pictures."""

from __future__ import annotations

import random
from collections.abc import Iterable

from infraspectre.simulation.activities import names, secure
from infraspectre.simulation.hosts import Host
from infraspectre.simulation.protocols import tls
from infraspectre.simulation.site import Site

HEARTBEAT_BYTES = 31, 27
"""What keeps a connection alive, sent and answered: about a ping frame of WebSocket or MQTT inside TLS."""
EVENT_SHARE = 0.06
"""Share of heartbeats at which there is news."""


def stay(
    site: Site, rng: random.Random, client: Host, server: Host, beats: Iterable[float],
    library: tls.Client = tls.BROWSER, port: int = 443,
) -> float:  # fmt: skip
    """Stay connected, with a heartbeat at each of some moments and news now and then."""
    moments = iter(beats)
    first = next(moments, None)
    if first is None:
        return 0.0
    session = secure.connect(site, client, server, names.resolve(site, client, server, first), library, port)
    session.ask(rng.randrange(300, 900), rng.randrange(200, 2_000))
    for at in moments:
        session.talk.rest(at)
        session.ask(*HEARTBEAT_BYTES)
        if rng.random() < EVENT_SHARE:
            session.talk.respond(tls.sealed(rng, rng.randrange(80, 1_400)))
    session.close()
    return session.talk.now


def send_pictures(site: Site, rng: random.Random, camera: Host, recorder: Host, moments: Iterable[float]) -> None:
    """Send a picture at each of some moments over one connection that the recorder opened (RTSP, RFC 7826)."""
    first = next(iter(moments), None)
    if first is None:
        return
    talk = site.tcp(recorder, camera, 554, first)
    talk.connect()
    talk.request(f"PLAY rtsp://{camera.ip}/live RTSP/2.0\r\nCSeq: 4\r\n\r\n".encode())
    talk.respond(b"RTSP/2.0 200 OK\r\nCSeq: 4\r\n\r\n")
    for at in moments:
        talk.rest(at)
        talk.respond(b"$\x00\x04\x00" + rng.randbytes(1_024))
    talk.close()
