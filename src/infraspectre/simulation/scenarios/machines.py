"""Machines: what software, servers and devices do by themselves, regular or hidden as it may look."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import partial

from infraspectre.simulation.activities import mail, names, push, remote, secure, services, shares, web
from infraspectre.simulation.drawing import log_uniform
from infraspectre.simulation.hosts import Host
from infraspectre.simulation.protocols import dns, tls
from infraspectre.simulation.scenarios.calendar import HOUR_S, Span
from infraspectre.simulation.scenarios.internet import coined
from infraspectre.simulation.scenarios.people import Person
from infraspectre.simulation.scenarios.scene import Scene, by_chance, regularly
from infraspectre.simulation.site import Site

LLMNR_GROUP = Host("llmnr", "224.0.0.252", bytes.fromhex("01005e0000fc"), "multicast group")
LLMNR_PORT = 5355
"""Port of RFC 4795, 2."""
POLICY_S, POLICY_JITTER = 5_400.0, 1 / 3
"""Windows refreshes group policy every 90 minutes and up to 30 minutes later."""
LEASE_S = 4 * HOUR_S
ARP_S = 1_800.0
"""Time between two questions for the router's hardware address here; true hosts ask every minute or so."""
CATALOGUE = 14
"""Programs that are common at a site."""


@dataclass(frozen=True)
class Program:
    """Describes software that calls its maker by itself."""

    behaviour: str
    server: str
    period_s: float
    jitter: float

    @classmethod
    def common(cls, rng: random.Random) -> Program:
        """Draw a program that many have: it asks for updates or reports how it is used."""
        behaviour = rng.choice(("software updates", "telemetry"))
        host = rng.choice(("update", "telemetry", "api", "config", "events", "license"))
        server = f"{host}.{coined(rng).removeprefix('www.')}"
        return cls(behaviour, server, log_uniform(rng, 900, 6 * HOUR_S), rng.choice((0.0, 0.02, 0.1, 0.3)))

    @classmethod
    def rare(cls, rng: random.Random) -> Program:
        """Draw a program that nobody else has, which asks more often."""
        server = f"{rng.choice(('svc', 'agent', 'node7', 'app'))}.{coined(rng).removeprefix('www.')}"
        return cls("rare software", server, log_uniform(rng, 60, HOUR_S), rng.choice((0.0, 0.02, 0.1, 0.3)))


class Software:
    """Runs on one workstation, as long as that is on."""

    def __init__(self, scene: Scene, person: Person, catalogue: list[Program]) -> None:
        """Draw what is installed, and whether the machine stays on at night."""
        self._scene, self._site, self._client = scene, scene.site, person.client
        self._rng = scene.site.derived(f"software/{person.client.name}")
        self._on = scene.whole if self._rng.random() < 0.4 else person.present
        self._present = person.present
        self._programs = self._rng.sample(catalogue, self._rng.randrange(2, 6))
        if self._rng.random() < 0.12:
            self._programs.append(Program.rare(self._rng))

    def run(self) -> None:
        """Do what software does without being asked."""
        rng, site, client, scene = self._rng, self._site, self._client, self._scene
        times = regularly(rng, self._on, rng.choice((1_024.0, 2_048.0, HOUR_S)))
        scene.at("time", times, lambda at: services.ask_time(site, client, site.dns, at))
        for program in self._programs:
            self._call_the_maker(program)
        scene.at("group policy", regularly(rng, self._on, POLICY_S, POLICY_JITTER), self._refresh_policy)
        scene.at("address assignment", regularly(rng, self._on, LEASE_S), lambda at: services.renew(site, client, at))
        scene.at("local announcements", by_chance(rng, self._on, 2 * HOUR_S), self._look_around)
        for at in regularly(rng, self._on, ARP_S, 0.5):
            site.arp(client, site.gateway(client), at)
        self._stay_connected()
        self._ask_for_reputation()

    def _call_the_maker(self, program: Program) -> None:
        server = self._site.outside(program.server)
        times = regularly(self._rng, self._on, program.period_s, program.jitter)
        self._scene.at(program.behaviour, times, lambda at: web.poll(self._site, self._client, server, at))

    def _refresh_policy(self, at: float) -> None:
        end = shares.get_ticket(self._site, self._client, "cifs/dc1.corp.example", at)
        session = shares.SmbSession(self._site, self._client, self._site.dns, end + 0.01)
        session.log_on(shares.user_of(self._client))
        session.connect("SYSVOL")
        session.read("corp.example\\Policies\\gpt.ini", 64)
        session.log_off()

    def _look_around(self, at: float) -> None:
        """Ask neighbours for a name (RFC 4795), which nobody answers, or for a printer (RFC 6762)."""
        if self._rng.random() < 0.5:
            services.announce(self._site, self._client, at)
            return
        name = self._rng.choice(("wpad", "nas01", "printsrv", "files", "isatap"))
        for _ in range(2):
            talk = self._site.udp(self._client, LLMNR_GROUP, LLMNR_PORT, at)
            talk.request(dns.query(self._rng.getrandbits(16), name))
            at += 0.41

    def _stay_connected(self) -> None:
        """Keep a connection open for notifications, and while somebody is there one for chatting."""
        rng = self._rng
        pusher = rng.choice(("push.notifyhub.com", "push.notifyhub.com", "mtalk.wavesync.net", f"ws.{coined(rng)}"))
        if rng.random() < 0.5:
            self._stay("push connection", pusher, self._on, log_uniform(rng, 240, 1_700), rng.choice((443, 443, 5223)))
        if rng.random() < 0.2:
            chat = rng.choice(("edge-chat.teamtalk.com", "edge-chat.teamtalk.com", f"chat.{coined(rng)}"))
            self._stay("chat", chat, self._present, rng.choice((60.0, 120.0, 240.0)), 443)

    def _stay(self, behaviour: str, server: str, spans: list[Span], period_s: float, port: int) -> None:
        for span in spans:
            beats = regularly(self._rng, [span], period_s, 0.03)
            with self._site.behaving(self._site.behaviour(behaviour)):
                push.stay(self._site, self._rng, self._client, self._site.outside(server), beats, tls.SYSTEM, port)

    def _ask_for_reputation(self) -> None:
        """Ask a security vendor about files by their digests, hidden in names of the vendor's domain."""
        vendor = self._scene.internet.security_vendor
        if vendor:
            times = by_chance(self._rng, self._present, HOUR_S / 2.5)
            self._scene.at("reputation lookups", times, lambda at: self._ask_about_files(vendor, at))

    def _ask_about_files(self, vendor: str, at: float) -> None:
        for _ in range(self._rng.randrange(1, 5)):
            digest = self._rng.randbytes(20).hex()
            labels = f"{digest}.{self._rng.randbytes(13).hex()}.{self._rng.randrange(9)}p"
            answers = [dns.address(f"127.0.{self._rng.randrange(8)}.{self._rng.randrange(1, 200)}", 3_600)]
            names.ask(self._site, self._client, self._site.dns, f"{labels}.{vendor}", at, answers, pause_s=0.03)
            at += self._rng.uniform(0.05, 2.0)


def run_devices(scene: Scene) -> None:
    """Let each device call its maker at a period that never changes, and cameras send pictures to their recorder."""
    for device in scene.devices:
        rng = scene.site.derived(f"device/{device.name}")
        if device.role == "camera":
            with scene.site.behaving(scene.site.behaviour("camera")):
                beats = regularly(rng, scene.whole, log_uniform(rng, 15, 60), 0.01)
                push.send_pictures(scene.site, rng, device, scene.extra["recorder"], beats)
        _phone_home(scene, rng, device)


def _phone_home(scene: Scene, rng: random.Random, device: Host) -> None:
    site = scene.site
    maker = site.outside(rng.choice(scene.internet.makers))
    period_s = log_uniform(rng, 30, 2 * HOUR_S)
    with site.behaving(site.behaviour("device telemetry")):
        if period_s < 600:
            push.stay(site, rng, device, maker, regularly(rng, scene.whole, period_s, 0.01), tls.SCRIPT, 8883)
            return
        for at in regularly(rng, scene.whole, period_s, rng.choice((0.0, 0.01, 0.1))):
            web.poll(site, device, maker, at)


def run_servers(scene: Scene) -> None:
    """Let servers be watched, kept in balance, deployed from and saved at night."""
    for work in (_watch_over, _check_health, _serve_applications, _deliver_mail, _save, _deploy, _use_domain):
        work(scene, scene.site.derived(work.__name__))


def _watch_over(scene: Scene, rng: random.Random) -> None:
    """Connect to every server and device, every few minutes and by several protocols."""
    site, period_s = scene.site, rng.choice((300.0, 600.0, 900.0))
    for server in scene.servers:
        times = regularly(rng, scene.whole, period_s, 0.01)
        scene.at("monitoring", times, partial(services.ping, site, site.monitor, server, times=1))
        port = rng.choice((22, 443, 80, 445, 3389, 5666))
        times = regularly(rng, scene.whole, period_s, 0.01)
        scene.at("monitoring", times, partial(_touch, site, server, port))
    for device in (site.router, *site.printers, *scene.devices):
        times = regularly(rng, scene.whole, period_s, 0.01)
        scene.at("monitoring", times, partial(services.monitor, site, device))
    times = regularly(rng, scene.whole, period_s, 0.0)
    scene.at("name monitoring", times, lambda at: _probe_names(scene, rng, at))


def _touch(site: Site, server: Host, port: int, at: float) -> None:
    """Connect and hang up at once."""
    talk = site.tcp(site.monitor, server, port, at)
    talk.connect()
    talk.close()


def _probe_names(scene: Scene, rng: random.Random, at: float) -> None:
    """Ask the name server for a name that no cache can know."""
    name = f"probe-{scene.site.now_s(at)}-{rng.randbytes(4).hex()}.health.corp.example"
    answer = dns.address(scene.site.intranet.ip, 1)
    names.ask(scene.site, scene.site.monitor, scene.site.dns, name, at, [answer])


def _check_health(scene: Scene, rng: random.Random) -> None:
    """Let the load balancer ask its servers whether they are well."""
    site, balancer = scene.site, scene.extra["balancer"]
    period_s = rng.choice((60.0, 120.0, 180.0))
    for server in (site.intranet, scene.extra["app"]):
        times = regularly(rng, scene.whole, period_s, 0.0)
        scene.at("health checks", times, partial(web.fetch, site, balancer, server, targets=("/health",)))


def _serve_applications(scene: Scene, rng: random.Random) -> None:
    """Let the application server ask its database and, at a fixed period, a partner on an unusual port."""
    site, app = scene.site, scene.extra["app"]
    times = by_chance(rng, scene.whole, 300.0)
    scene.at("database", times, lambda at: _query(scene, rng, at))
    partner = site.outside(f"gateway.{coined(rng).removeprefix('www.')}")
    beats = regularly(rng, scene.whole, log_uniform(rng, 300, HOUR_S), 0.01)
    scene.at("partner interface", beats, lambda at: _exchange(scene, rng, app, partner, at))


def _query(scene: Scene, rng: random.Random, at: float) -> None:
    talk = scene.site.tcp(scene.extra["app"], scene.extra["database"], 5432, at)
    talk.connect()
    for _ in range(rng.randrange(1, 5)):
        talk.request(rng.randbytes(rng.randrange(60, 400)))
        talk.wait(0.005)
        talk.respond(rng.randbytes(scene.site.size(8_000)))
    talk.close()


def _exchange(scene: Scene, rng: random.Random, app: Host, partner: Host, at: float) -> None:
    at = names.resolve(scene.site, app, partner, at)
    session = secure.connect(scene.site, app, partner, at, tls.SCRIPT, 8443)
    session.ask(rng.randrange(400, 900), rng.randrange(200, 6_000))
    session.close()


def _deliver_mail(scene: Scene, rng: random.Random) -> None:
    """Let the mail server look up who may send for a domain (RFC 7208, RFC 6376), who is blocked, and deliver."""
    scene.at("mail lookups", by_chance(rng, scene.whole, 240.0), lambda at: _judge_sender(scene, rng, at))
    outside = scene.site.outside("mx1.letterbox.net")
    times = by_chance(rng, scene.whole, 900.0)
    scene.at("mail delivery", times, lambda at: mail.hand_in(scene.site, scene.site.mail, outside, at))


def _judge_sender(scene: Scene, rng: random.Random, at: float) -> None:
    site, sender = scene.site, coined(rng).removeprefix("www.")
    rule = dns.text(b"v=spf1 include:_spf.letterbox.net ip4:198.51.100.0/24 -all", 3_600)
    key = dns.text(b"v=DKIM1; k=rsa; p=" + rng.randbytes(200).hex().encode(), 3_600)
    names.ask(site, site.mail, site.dns, sender, at, [rule], dns.TXT, pause_s=0.03)
    names.ask(site, site.mail, site.dns, f"s{rng.randrange(9999)}._domainkey.{sender}", at + 0.1, [key], dns.TXT)
    reverse = ".".join(str(rng.randrange(1, 255)) for _ in range(4))
    names.miss(site, site.mail, f"{reverse}.zen.blocklist.org", at + 0.2)


def _save(scene: Scene, rng: random.Random) -> None:
    """Copy every server to the backup server at night, and some of it to a cloud."""
    site, cloud = scene.site, scene.site.outside("vault.coldstore.com")
    for at in scene.calendar.nightly(rng.uniform(20.0, 28.0) % 24):
        for server in (site.files, site.mail, site.intranet, scene.extra["database"]):
            at += rng.uniform(30.0, 900.0)
            size = int(log_uniform(rng, 5e5, 8e6))
            scene.at("backup", [at], partial(remote.copy_over_ssh, site, server, site.backup, size=size))
        size = int(log_uniform(rng, 2e6, 2.5e7))
        scene.at("cloud backup", [at + 1_200.0], partial(web.upload, site, site.backup, cloud, size=size))


def _deploy(scene: Scene, rng: random.Random) -> None:
    """Bring software to many clients through their administrative shares, within an hour or two."""
    site, server = scene.site, scene.extra["deploy"]
    for at in scene.calendar.nightly(rng.uniform(9.0, 23.0)):
        if rng.random() < 0.6:
            for client in rng.sample(site.clients, len(site.clients) // 2):
                at += log_uniform(rng, 2, 60)
                scene.at(
                    "software deployment", [at], partial(shares.run_service, site, server, client, user="svc-deploy")
                )


def _use_domain(scene: Scene, rng: random.Random) -> None:
    """Let servers renew their tickets and read policies, as clients do."""
    for server in scene.servers:
        times = regularly(rng, scene.whole, 2 * HOUR_S, 0.5)
        scene.at("group policy", times, partial(shares.get_ticket, scene.site, server, "ldap/dc1"))
