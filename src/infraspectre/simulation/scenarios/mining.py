"""Mining: a machine works for somebody else's purse."""

from __future__ import annotations

import random
from dataclasses import dataclass

from infraspectre.simulation.activities import names, secure
from infraspectre.simulation.capture import Behaviour
from infraspectre.simulation.hosts import Host
from infraspectre.simulation.protocols import stratum
from infraspectre.simulation.scenarios.background import lively_site, moments
from infraspectre.simulation.site import Site

POOL = "pool.m0nero7.example"
TECHNIQUES = ("T1496", "T1496.001")


@dataclass(frozen=True)
class Mine:
    """Says where and how fast a miner works."""

    pool: str = POOL
    port: int = 3333
    is_secure: bool = False
    job_s: float = 40.0
    """Mean time between two pieces of work."""
    share_s: float = 60.0
    """Mean time between two results."""

    def play(self, site: Site, rng: random.Random, victim: Host, begin_s: float, end_s: float) -> Behaviour:
        """Stay connected to the pool for the whole span."""
        pool = site.outside(self.pool, "mining pool")
        behaviour = Behaviour(
            "mining", "mining", TECHNIQUES, [victim.ip], [victim.ip], [pool.ip],
            parameters={"port": self.port, "job_s": self.job_s, "share_s": self.share_s},
        )  # fmt: skip
        with site.behaving(behaviour):
            at = names.resolve(site, victim, pool, begin_s)
            self._work(rng, secure.Line(site, victim, pool, self.port, at, self.is_secure), end_s)
        return behaviour

    def _work(self, rng: random.Random, line: secure.Line, end_s: float) -> None:
        line.up(stratum.login(rng))
        line.down(stratum.welcome(rng))
        begin_s = line.talk.now
        jobs = [(at, False) for at in moments(rng, end_s, self.job_s, begin_s)]
        shares = [(at, True) for at in moments(rng, end_s, self.share_s, begin_s)]
        for number, (at, is_share) in enumerate(sorted(jobs + shares), 2):
            line.at(at)
            if is_share:
                line.up(stratum.submit(rng, number))
                line.down(stratum.accepted(number))
            else:
                line.down(stratum.job(rng))
        line.talk.close()


def mining(
    seed: str, *, port: int = 3333, tls: bool = False, hosts: int = 8, duration_s: float = 600.0,
    background: bool = True,
) -> Site:  # fmt: skip
    """Mine coins on one workstation, in a connection to a pool that stays open, in clear or in TLS."""
    site = lively_site(seed, hosts, duration_s, background)
    mine = Mine(port=port, is_secure=tls, job_s=15.0, share_s=20.0)
    mine.play(site, site.derived("mining"), site.clients[0], duration_s * 0.1, duration_s * 0.9)
    return site
