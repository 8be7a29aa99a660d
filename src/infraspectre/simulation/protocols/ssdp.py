"""SSDP (UPnP Device Architecture 2.0, 1.3.3): answers to searches, as devices send them."""

from __future__ import annotations

import random


def answer(rng: random.Random) -> bytes:
    """Answer a search for everything with one of a device's services."""
    number = rng.randbytes(6).hex()
    kind = rng.choice(("service:WANIPConnection:1", "device:InternetGatewayDevice:1", "service:Layer3Forwarding:1"))
    return (
        "HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nEXT:\r\n"
        f"LOCATION: http://192.168.1.1:5431/dyndev/uuid:{number}\r\n"
        "SERVER: Linux/2.6.36 UPnP/1.0 MiniUPnPd/1.4\r\n"
        f"ST: urn:schemas-upnp-org:{kind}\r\nUSN: uuid:{number}::urn:schemas-upnp-org:{kind}\r\n\r\n"
    ).encode()
