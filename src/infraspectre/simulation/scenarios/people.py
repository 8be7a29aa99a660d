"""People: what those who work at a site do while they are there."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from infraspectre.simulation.activities import mail, names, services, shares, web
from infraspectre.simulation.hosts import Host
from infraspectre.simulation.scenarios.background import MISSES, moments
from infraspectre.simulation.scenarios.calendar import HOUR_S, Calendar, Span
from infraspectre.simulation.scenarios.internet import FAVOURITES, Internet
from infraspectre.simulation.site import Site

Act = Callable[[float], object]
"""Does something once, at a time."""


class Person:
    """Works at one machine, at some hours and with some eagerness."""

    def __init__(self, site: Site, client: Host, calendar: Calendar, internet: Internet) -> None:
        """Draw when a person is there and how busy; most are like each other, a few do several times as much."""
        self.site, self.client, self._internet = site, client, internet
        self.rng = site.derived(f"person/{client.name}")
        self.present = calendar.presence(self.rng)
        self._eagerness = self.rng.lognormvariate(0.0, 0.5)
        self._favourites = [internet.page(self.rng) for _ in range(FAVOURITES)]

    def work(self) -> None:
        """Do what office workers do."""
        for begin_s, _ in self.present:
            self._sit_down(begin_s)
        self._often("web browsing", 7.0, self._read_a_page)
        self._often("mail", 1.2, lambda at: mail.submit(self.site, self.client, self.site.mail, at))
        self._often("mail", 5.0, lambda at: mail.read_new(self.site, self.client, self.site.mail, at))
        self._often("file server", 1.4, lambda at: shares.use_files(self.site, self.client, self.site.files, at))
        self._often("intranet", 1.5, self._read_the_intranet)
        self._often("printing", 0.2, self._print)
        self._often("failed lookups", 0.7, lambda at: names.miss(self.site, self.client, self.rng.choice(MISSES), at))
        self._often("video", 0.04, self._watch)

    def _often(self, behaviour: str, times_per_hour: float, act: Act) -> None:
        with self.site.behaving(self.site.behaviour(behaviour)):
            for at in events(self.rng, self.present, HOUR_S / (times_per_hour * self._eagerness)):
                act(at)

    def _sit_down(self, at: float) -> None:
        for other in (self.site.router, self.site.dns):
            self.site.arp(self.client, other, at)
        with self.site.behaving(self.site.behaviour("address assignment")):
            services.renew(self.site, self.client, at)
        with self.site.behaving(self.site.behaviour("domain logon")):
            end = shares.log_on_to_domain(self.site, self.client, at + 1.0)
            shares.get_ticket(self.site, self.client, "cifs/files.corp.example", end + 0.1)
        with self.site.behaving(self.site.behaviour("local announcements")):
            services.announce(self.site, self.client, at + 2.0)

    def _read_a_page(self, at: float) -> None:
        is_favourite = self.rng.random() < 0.6
        page = self.rng.choice(self._favourites) if is_favourite else self._internet.page(self.rng)
        browse = web.browse6 if self.rng.random() < 0.1 else web.browse
        browse(self.site, self.client, self.site.outside(page), at)
        for companion in self._internet.companions(self.rng):
            at += self.rng.uniform(0.05, 0.8)
            web.poll(self.site, self.client, self.site.outside(companion), at)

    def _read_the_intranet(self, at: float) -> None:
        names.resolve(self.site, self.client, self.site.intranet, at)
        targets = ("/", f"/wiki/page{self.rng.randrange(40)}", "/logo.svg")
        web.fetch(self.site, self.client, self.site.intranet, at + 0.01, targets)

    def _print(self, at: float) -> None:
        services.print_page(self.site, self.client, self.rng.choice(self.site.printers), at)

    def _watch(self, at: float) -> None:
        server = self.site.outside("video.streamhub.com")
        web.watch(self.site, self.client, server, at, self.rng.uniform(60.0, 600.0))


def events(rng: random.Random, spans: list[Span], mean_s: float) -> Iterator[float]:
    """Yield the times of events that happen at random within spans."""
    for begin_s, end_s in spans:
        for at in moments(rng, end_s - begin_s, mean_s):
            yield begin_s + at
