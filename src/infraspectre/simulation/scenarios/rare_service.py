"""Rare services: a machine listens, or talks, where none ever did."""

from __future__ import annotations

import random
from typing import Literal

from infraspectre.simulation.capture import Behaviour
from infraspectre.simulation.hosts import Host
from infraspectre.simulation.scenarios.background import lively_site, moments
from infraspectre.simulation.site import Site

Kind = Literal["listener", "reverse-shell"]
MASTER = "vps-12.provider.example"
LINES = (
    ("whoami", "www-data"), ("id", "uid=33(www-data) gid=33(www-data) groups=33(www-data)"),
    ("cat /etc/passwd", "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/usr/sbin:/usr/sbin/nologin\n" * 8),
    ("ls -la /home", "total 12\ndrwxr-xr-x 3 root root 4096 Jan 4 09:12 .\n" * 3), ("uname -a", "Linux web 6.1.0"),
    ("ss -lntp", "LISTEN 0 511 0.0.0.0:80\nLISTEN 0 128 0.0.0.0:22\n"), ("env", "PATH=/usr/bin:/bin\nLANG=C\n"),
    ("ps aux", "root 1 0.0 0.1 init\n" * 40),
)  # fmt: skip
"""What intruders type first, and what they are told."""


def listen(
    site: Site, rng: random.Random, listener: Host, clients: list[Host], port: int, gap_s: float, begin_s: float,
    end_s: float,
) -> Behaviour:  # fmt: skip
    """Offer a service at a port never used before, to which other machines connect, a mean time apart."""
    behaviour = Behaviour(
        "rare service", "rare-service", ("T1571", "T1090.001"), [listener.ip], [each.ip for each in clients],
        parameters={"port": port, "gap_s": gap_s},
    )  # fmt: skip
    with site.behaving(behaviour):
        for at in (begin_s, *moments(rng, end_s, gap_s, begin_s)):
            talk = site.tcp(rng.choice(clients), listener, port, at)
            talk.connect()
            for _ in range(rng.randrange(1, 6)):
                talk.request(rng.randbytes(rng.randrange(20, 600)))
                talk.wait(rng.uniform(0.01, 0.5))
                talk.respond(rng.randbytes(rng.randrange(20, 4_000)))
            talk.close()
    return behaviour


def reverse_shell(
    site: Site, rng: random.Random, victim: Host, master: Host, port: int, begin_s: float, end_s: float
) -> Behaviour:
    """Call the intruder, who then types commands on the victim until the end of the span."""
    behaviour = Behaviour(
        "reverse shell", "rare-service", ("T1059.004", "T1571", "T1095"), [victim.ip], [victim.ip], [master.ip],
        parameters={"port": port},
    )  # fmt: skip
    with site.behaving(behaviour):
        talk = site.tcp(victim, master, port, begin_s)
        talk.connect()
        talk.request(b"bash: no job control in this shell\nwww-data@web:/$ ")
        for at in moments(rng, end_s, max(4.0, (end_s - begin_s) / 60), begin_s):
            talk.now = max(at, talk.now)
            command, output = rng.choice(LINES)
            talk.respond(command.encode() + b"\n")
            talk.wait(rng.uniform(0.01, 0.2))
            talk.request(f"{output}\nwww-data@web:/$ ".encode())
        talk.close(by_orig=False)
    return behaviour


def rare_service(
    seed: str, *, kind: Kind = "listener", hosts: int = 8, duration_s: float = 300.0, background: bool = True
) -> Site:
    """Open a port on a workstation that others then use, or call an intruder who types commands."""
    site = lively_site(seed, hosts, duration_s, background)
    rng, victim, span = site.derived("rare service"), site.clients[0], (duration_s * 0.1, duration_s * 0.9)
    if kind == "listener":
        listen(site, rng, victim, site.clients[1:4] or [site.files], 31337, 15.0, *span)
    else:
        reverse_shell(site, rng, victim, site.outside(MASTER, "control server"), 4444, *span)
    return site
