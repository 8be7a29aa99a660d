"""Background: the ordinary life of a site, without which an attack would be too easy to see."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import cycle

from infraspectre.simulation.activities import mail, names, remote, services, shares, web
from infraspectre.simulation.hosts import Host
from infraspectre.simulation.site import Site

PAGES = tuple(
    f"{name}.example"
    for name in (
        "www.news", "static.news", "img.news", "www.shop", "cdn.shop", "d3f9a81b.cdn", "e7c2.edge", "www.weather",
        "maps", "www.bank", "api.bank", "www.travel", "www.wiki", "upload.wiki", "search", "fonts", "ads.tracker",
        "metrics.tracker", "www.forum", "www.sports", "www.recipes", "code", "docs.code", "meet", "www.gov", "social",
        "media.social", "www.university", "jobs", "books", "www.radio", "a1b2c3d4e5.cdn", "translate", "www.trains",
    )
)  # fmt: skip
"""Names of web sites, the popular ones first."""
MISSES = ("wpad.corp.example", "isatap.corp.example", "printsrv.corp.example", "www.newz.example")
TIME_SERVER, UPDATE_SERVER, CLOUD_SERVER, VIDEO_SERVER = (
    "time.example",
    "updates.example",
    "drive.example",
    "video.example",
)


def lively_site(seed: str, hosts: int, duration_s: float, background: bool = True, scale: float = 0.2) -> Site:
    """Build a site and, if asked for, let its people work for a while."""
    site = Site(seed, hosts, scale)
    site.arp(site.clients[0], site.router, 0.0)
    if background:
        work(site, duration_s)
    return site


def work(site: Site, duration_s: float, intensity: float = 1.0) -> None:
    """Let people and machines do what they do all day; intensity multiplies how often people act."""
    rng = site.derived("background")
    for client in site.clients:
        _sit_down(site, rng, client, duration_s)
        _read_the_web(site, rng, client, duration_s, intensity)
        _do_office_work(site, rng, client, duration_s, intensity)
        _run_by_itself(site, rng, client, duration_s)
    _watch_over(site, rng, duration_s)


def moments(rng: random.Random, end_s: float, mean_s: float, begin_s: float = 0.0) -> Iterator[float]:
    """Yield the times of events that happen at random, a mean time apart (a Poisson process)."""
    at = begin_s + rng.expovariate(1.0 / mean_s)
    while at < end_s:
        yield at
        at += rng.expovariate(1.0 / mean_s)


def ticks(rng: random.Random, duration_s: float, period_s: float, jitter: float = 0.05) -> Iterator[float]:
    """Yield the times of events that happen regularly, from a random start, give or take a share of the period."""
    at = rng.uniform(0.0, min(period_s, duration_s))
    while at < duration_s:
        yield at + rng.uniform(0.0, jitter) * period_s
        at += period_s


def _sit_down(site: Site, rng: random.Random, client: Host, duration_s: float) -> None:
    """Find the way, get an address, log on, and look for devices nearby; people come within the first half."""
    at = rng.uniform(0.0, min(300.0, duration_s * 0.5))
    for other in (site.router, site.dns):
        site.arp(client, other, at)
    with site.behaving(site.behaviour("address assignment")):
        if client is site.clients[0]:
            services.join(site, client, at)
        else:
            services.renew(site, client, at)
    with site.behaving(site.behaviour("domain logon")):
        end = shares.log_on_to_domain(site, client, at + 1.0)
        shares.get_ticket(site, client, "cifs/files.corp.example", end + 0.1)
    with site.behaving(site.behaviour("local announcements")):
        services.announce(site, client, at + 2.0)


def _read_the_web(site: Site, rng: random.Random, client: Host, duration_s: float, intensity: float) -> None:
    favourites = [rng.choice(PAGES) for _ in range(6)]
    for at in moments(rng, duration_s, 40.0 / intensity):
        page = rng.choice(favourites) if rng.random() < 0.6 else PAGES[min(int(rng.expovariate(0.12)), len(PAGES) - 1)]
        with site.behaving(site.behaviour("web browsing")):
            browse = web.browse6 if rng.random() < 0.12 else web.browse
            browse(site, client, site.outside(page), at)
    with site.behaving(site.behaviour("video")):
        if rng.random() < 0.12:
            web.watch(site, client, site.outside(VIDEO_SERVER), rng.uniform(0.1, 0.6) * duration_s, duration_s * 0.3)


def _do_office_work(site: Site, rng: random.Random, client: Host, duration_s: float, intensity: float) -> None:
    with site.behaving(site.behaviour("mail")):
        for at in moments(rng, duration_s, 500.0 / intensity):
            mail.submit(site, client, site.mail, at)
    with site.behaving(site.behaviour("file server")):
        for at in moments(rng, duration_s, 240.0 / intensity):
            shares.use_files(site, client, site.files, at)
    with site.behaving(site.behaviour("intranet")):
        for at in moments(rng, duration_s, 200.0 / intensity):
            names.resolve(site, client, site.intranet, at)
            web.fetch(site, client, site.intranet, at + 0.01, ("/", f"/wiki/page{rng.randrange(40)}", "/logo.svg"))
    with site.behaving(site.behaviour("printing")):
        for at in moments(rng, duration_s, 900.0 / intensity):
            services.print_page(site, client, rng.choice(site.printers), at)


def _run_by_itself(site: Site, rng: random.Random, client: Host, duration_s: float) -> None:
    """Do what software does without being asked: regular, but innocent."""
    with site.behaving(site.behaviour("time")):
        for at in ticks(rng, duration_s, 256.0):
            services.ask_time(site, client, site.outside(TIME_SERVER), at)
    with site.behaving(site.behaviour("software updates")):
        for at in ticks(rng, duration_s, 300.0, 0.2):
            web.poll(site, client, site.outside(UPDATE_SERVER), at)
    with site.behaving(site.behaviour("cloud storage")):
        for at in ticks(rng, duration_s, 120.0, 0.02):
            web.poll(site, client, site.outside(CLOUD_SERVER), at)
        if rng.random() < 0.3:
            web.upload(site, client, site.outside(CLOUD_SERVER), rng.uniform(0.1, 0.9) * duration_s, site.size(300_000))
    with site.behaving(site.behaviour("mail")):
        for at in ticks(rng, duration_s, 180.0):
            mail.read_new(site, client, site.mail, at)
    with site.behaving(site.behaviour("failed lookups")):
        for at in moments(rng, duration_s, 300.0):
            names.miss(site, client, rng.choice(MISSES), at)


def _watch_over(site: Site, rng: random.Random, duration_s: float) -> None:
    """Let machines watch machines."""
    with site.behaving(site.behaviour("monitoring")):
        for server in site.servers:
            services.ping(site, site.monitor, server, rng.uniform(0.0, duration_s))
            services.ping(site, site.twin(site.monitor), site.twin(server), rng.uniform(0.0, duration_s))
        for device in (site.router, *site.printers):
            for at in ticks(rng, duration_s, 60.0, 0.01):
                services.monitor(site, device, at)
        for at in ticks(rng, duration_s, 60.0, 0.01):
            services.check_web(site, site.intranet, at)
    with site.behaving(site.behaviour("device mail")):
        for printer, at in zip(cycle(site.printers), ticks(rng, duration_s, 240.0, 0.5), strict=False):
            mail.hand_in(site, printer, site.mail, at)
    with site.behaving(site.behaviour("administration")):
        for at in moments(rng, duration_s, 500.0):
            remote.use_ssh(site, site.clients[-1], rng.choice((site.mail, site.intranet)), at, rng.randrange(2, 9))
