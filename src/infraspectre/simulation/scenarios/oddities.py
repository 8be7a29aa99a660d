"""Oddities: harmless things that look like attacks, of which every company has some."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

from infraspectre.simulation.activities import calls, mail, names, push, remote, scans, secure, services, shares, web
from infraspectre.simulation.drawing import log_uniform
from infraspectre.simulation.hosts import LINUX, MACOS, WINDOWS, Host
from infraspectre.simulation.protocols import dns, http, kerberos, ssh, tls
from infraspectre.simulation.scenarios.calendar import HOUR_S
from infraspectre.simulation.scenarios.internet import coined
from infraspectre.simulation.scenarios.scene import Act, Scene, by_chance, regularly
from infraspectre.simulation.site import Site

SCANNED_PORTS = (
    21,
    22,
    23,
    25,
    53,
    80,
    110,
    135,
    139,
    143,
    389,
    443,
    445,
    993,
    1433,
    3306,
    3389,
    5432,
    5985,
    8080,
    8443,
)
"""Ports that a vulnerability scanner looks at on each host."""
NOISE_PORTS = (22, 23, 80, 443, 445, 1433, 3389, 5060, 8080)
"""What strangers knock at."""
UPDATE_PORT = 7680
"""Port on which Windows shares updates between clients."""

Oddity = Callable[[Scene, random.Random], None]


def play_oddities(scene: Scene) -> None:
    """Let everything odd happen, each at its own times."""
    for oddity in ODDITIES:
        oddity(scene, scene.site.derived(oddity.__name__))


def scan_with_authority(scene: Scene, rng: random.Random) -> None:
    """Scan all servers and a part of the clients for weaknesses, once a day, at a pace of its own."""
    site, scanner = scene.site, scene.extra["vulnscan"]
    gap_s, source = log_uniform(rng, 0.1, 3.0), rng.randrange(30_000, 39_000)
    targets = [*scene.servers, *rng.sample(site.clients, min(len(site.clients), 25))]
    with site.behaving(site.behaviour("authorised scan")):
        for begin_s in scene.calendar.nightly(rng.uniform(0.0, 24.0)):
            ends = [(target, port) for target in targets if target is not scanner for port in SCANNED_PORTS]
            for number, (target, port) in enumerate(ends):
                if site.capture.is_free(scanner, target, "tcp", source, port):
                    scans.knock(site, scanner, target, port, begin_s + (number + rng.random()) * gap_s, source)


def administrate(scene: Scene, rng: random.Random) -> None:
    """Let administrators log on to one machine after the other, by RDP, SSH, WinRM or shares."""
    for admin in rng.sample(scene.site.clients, max(2, len(scene.site.clients) // 40)):
        presence = scene.calendar.presence(rng)
        scene.at("administration", by_chance(rng, presence, 2.5 * HOUR_S), _round(scene, rng, admin))


def _round(scene: Scene, rng: random.Random, admin: Host) -> Act:
    """Make a round by one way of logging on, over some servers or the clients of a help desk's morning."""

    def act(at: float) -> None:
        hosts = scene.servers if rng.random() < 0.7 else scene.site.clients
        targets = rng.sample([host for host in hosts if host is not admin], rng.randrange(1, 9))
        way = rng.choice(("rdp", "ssh", "winrm", "share"))
        for target in targets:
            at = _log_on(scene, rng, admin, target, way, at) + log_uniform(rng, 10, 600)

    return act


def _log_on(scene: Scene, rng: random.Random, admin: Host, target: Host, way: str, at: float) -> float:
    site = scene.site
    match way:
        case "rdp":
            return remote.use_rdp(site, admin, target, at, "admin", log_uniform(rng, 5, 60))
        case "ssh":
            return remote.use_ssh(site, admin, target, at, rng.randrange(1, 6))
        case "winrm":
            return remote.run_winrm(site, admin, target, at, rng.randrange(1, 4))
    return shares.use_files(site, admin, target, at)


def share_updates(scene: Scene, rng: random.Random) -> None:
    """Let clients give each other parts of an update."""
    with scene.site.behaving(scene.site.behaviour("update sharing")):
        for at in by_chance(rng, scene.whole, 3 * HOUR_S):
            client, *peers = rng.sample(scene.site.clients, rng.randrange(3, 9))
            for peer in peers:
                talk = scene.site.tcp(client, peer, UPDATE_PORT, at)
                talk.connect()
                talk.request(rng.randbytes(90))
                talk.respond(rng.randbytes(scene.site.size(300_000)))
                talk.close()
                at = talk.now + rng.uniform(0.1, 30.0)


def knock_in_vain(scene: Scene, rng: random.Random) -> None:
    """Let a few machines look for servers that were taken away: at a period, and never answered."""
    site = scene.site
    for client in rng.sample(site.clients, max(1, len(site.clients) // 40)):
        gone = site.nobody(f"{site.networks.servers}.{rng.randrange(100, 250)}")
        port, period_s = rng.choice((445, 80, 9100, 1433, 8080)), log_uniform(rng, 120, HOUR_S)
        times = regularly(rng, scene.whole, period_s, 0.05)
        scene.at("stale configuration", times, partial(_knock, site, client, gone, port))


def _knock(site: Site, client: Host, gone: Host, port: int, at: float) -> None:
    site.tcp(client, gone, port, at).unanswered()


def knock_at_a_closed_door(scene: Scene, rng: random.Random) -> None:
    """Let one machine ask a service that was stopped, which refuses each time."""
    site, client = scene.site, rng.choice(scene.site.clients)
    times = regularly(rng, scene.whole, log_uniform(rng, 60, HOUR_S), 0.02)
    scene.at("stale configuration", times, lambda at: site.tcp(client, site.mail, 8_140, at).refused())


def check_connectivity(scene: Scene, rng: random.Random) -> None:
    """Let a machine ping a well-known address outside at a period."""
    target = scene.site.outside("anycast.publicresolver.net")
    for client in rng.sample(scene.site.clients, 2):
        times = regularly(rng, scene.calendar.presence(rng), log_uniform(rng, 60, 900), 0.02)
        scene.at("connectivity checks", times, partial(services.ping, scene.site, client, target, times=1))


def make_noise(scene: Scene, rng: random.Random) -> None:
    """Let strangers on the internet knock once at the machines that can be reached from there."""
    site = scene.site
    reachable = (scene.extra["vpn"], site.mail, scene.extra["balancer"])
    with site.behaving(site.behaviour("internet background noise")):
        for number, at in enumerate(by_chance(rng, scene.whole, HOUR_S)):
            stranger = site.outside(f"stranger{number}.dynamic.example")
            site.tcp(stranger, rng.choice(reachable), rng.choice(NOISE_PORTS), at).refused()


def work_from_home(scene: Scene, rng: random.Random) -> None:
    """Let people connect to the VPN gateway from outside, some of them after a wrong password."""
    gateway = scene.extra["vpn"]
    for number in range(max(2, len(scene.site.clients) // 20)):
        home = scene.site.outside(f"home{number}.access.example", "remote worker", rng.choice((WINDOWS, MACOS)))
        for begin_s, end_s in scene.calendar.presence(rng):
            with scene.site.behaving(scene.site.behaviour("remote access")):
                _enter(scene, rng, home, gateway, begin_s, end_s)


def _enter(scene: Scene, rng: random.Random, home: Host, gateway: Host, begin_s: float, end_s: float) -> None:
    if rng.random() < 0.15:
        web.form_login(scene.site, home, gateway, begin_s, ["user=me&password=wrong"] * rng.randrange(1, 4), True)
    tunnel = scene.site.udp(home, gateway, 4500, begin_s + 30.0)
    while tunnel.now < end_s:
        for _ in range(rng.randrange(1, 12)):
            tunnel.request(rng.randbytes(rng.randrange(80, 700)))
            tunnel.respond(rng.randbytes(rng.randrange(80, 1_350)))
        tunnel.rest(tunnel.now + log_uniform(rng, 15, 600))


def visit(scene: Scene, rng: random.Random) -> None:
    """Let guests with telephones read the web and stay connected for messages."""
    for guest in scene.guests:
        with scene.site.behaving(scene.site.behaviour("guests")):
            for span in scene.calendar.presence(rng):
                for at in by_chance(rng, [span], HOUR_S / 4):
                    page = scene.site.outside(scene.internet.page(rng))
                    if rng.random() < 0.5:
                        calls.browse_by_quic(scene.site, rng, guest, page, at)
                    else:
                        web.browse(scene.site, guest, page, at)
                beats = regularly(rng, [span], log_uniform(rng, 240, 1_700), 0.03)
                push.stay(scene.site, rng, guest, scene.site.outside("push.phonemaker.com"), beats, tls.SYSTEM, 5223)


def try_something_out(scene: Scene, rng: random.Random) -> None:
    """Let a developer start a server on an unusual port, which some colleagues look at."""
    site = scene.site
    developer, *colleagues = rng.sample(site.clients, rng.randrange(3, 7))
    port = rng.choice((3000, 5000, 8000, 8888))
    with site.behaving(site.behaviour("development server")):
        for at in by_chance(rng, scene.calendar.presence(rng), HOUR_S / 2):
            talk = site.tcp(rng.choice(colleagues), developer, port, at)
            talk.connect()
            talk.request(b"GET / HTTP/1.1\r\nHost: dev\r\n\r\n")
            talk.respond(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            talk.close()


def measure_the_line(scene: Scene, rng: random.Random) -> None:
    """Let somebody measure how fast the line is: much down, then much up."""
    site, server = scene.site, scene.site.outside("speed.linemeter.net")
    for client in rng.sample(site.clients, 2):
        for begin_s, end_s in scene.calendar.presence(rng)[:1]:
            with site.behaving(site.behaviour("speed test")):
                at = rng.uniform(begin_s, end_s)
                web.download(site, client, server, at, int(log_uniform(rng, 1e6, 8e6)))
                web.upload(site, client, server, at + 20.0, int(log_uniform(rng, 5e5, 5e6)))


def ask_a_resolver_outside(scene: Scene, rng: random.Random) -> None:
    """Let a few devices ask a public resolver and not the site's own."""
    resolver = scene.site.outside("resolver.publicresolver.net", system=LINUX)
    for device in scene.devices[::3]:
        name = rng.choice(scene.internet.makers)
        answer = dns.address(scene.site.outside(name).ip, 60)
        times = regularly(rng, scene.whole, log_uniform(rng, 300, 2 * HOUR_S), 0.02)
        ask = partial(names.ask, scene.site, device, resolver, name, answers=[answer], pause_s=0.01)
        scene.at("public resolver", times, ask)


def configure_servers(scene: Scene, rng: random.Random) -> None:
    """Let configuration management log on to every Linux server by SSH, again and again."""
    site, master = scene.site, scene.extra["git"]
    servers = [server for server in scene.servers if server.system is LINUX and server is not master]
    with site.behaving(site.behaviour("configuration management")):
        for at in regularly(rng, scene.whole, rng.choice((HOUR_S, 2 * HOUR_S, 4 * HOUR_S)), 0.05):
            for server in servers:
                at = remote.use_ssh(site, master, server, at, 0, ssh.SCRIPT_CLIENT) + rng.uniform(0.2, 3.0)


def follow_the_market(scene: Scene, rng: random.Random) -> None:
    """Let one client take small messages from a server outside all day, over one connection on an unusual port."""
    site, client = scene.site, rng.choice(scene.site.clients)
    server, period_s = site.outside(f"feed.{coined(rng).removeprefix('www.')}"), log_uniform(rng, 10, 120)
    with site.behaving(site.behaviour("data feed")):
        for span in scene.calendar.presence(rng):
            talk = site.tcp(client, server, rng.choice((4001, 5000, 7497, 8765, 9000)), span[0])
            talk.connect()
            for at in regularly(rng, [span], period_s, 0.5):
                talk.rest(at)
                talk.respond(rng.randbytes(rng.randrange(40, 400)))
                if rng.random() < 0.2:
                    talk.request(rng.randbytes(rng.randrange(20, 80)))
            talk.close()


def receive(scene: Scene, rng: random.Random) -> None:
    """Let strangers deliver mail and read the public web server, one of them page after page as crawlers do."""
    site = scene.site
    scene.at("mail delivery", by_chance(rng, scene.whole, 600.0), partial(_receive_mail, scene, rng))
    scene.at("visitors", by_chance(rng, scene.whole, 900.0), partial(_receive_visitor, scene, rng))
    crawler = site.outside("crawler.searchwell.com")
    with site.behaving(site.behaviour("search engine")):
        for begin_s in scene.calendar.nightly(rng.uniform(0.0, 24.0)):
            for number in range(rng.randrange(30, 200)):
                at = begin_s + number * rng.uniform(5.0, 9.0)
                web.fetch(site, crawler, site.intranet, at, (f"/page/{rng.randrange(9999)}",))


def _receive_mail(scene: Scene, rng: random.Random, at: float) -> None:
    sender = scene.site.outside(f"mx{rng.randrange(12)}.{rng.choice(('letterbox.net', 'postwave.com'))}")
    mail.hand_in(scene.site, sender, scene.site.mail, at)


def _receive_visitor(scene: Scene, rng: random.Random, at: float) -> None:
    visitor = scene.site.outside(f"visitor{rng.randrange(400)}.access.example", "visitor", WINDOWS)
    targets = [rng.choice(("/", "/products", "/contact", "/search?q=offers", "/img/team.jpg")) for _ in range(3)]
    web.fetch(scene.site, visitor, scene.site.intranet, at, targets[: rng.randrange(1, 4)])


def fetch_programs_in_clear(scene: Scene, rng: random.Random) -> None:
    """Let some clients fetch signed programs over HTTP, as updaters do that check signatures themselves."""
    site, server = scene.site, scene.site.outside("dl.delivery.updatehub.com")
    for client in rng.sample(site.clients, max(2, len(site.clients) // 10)):
        times = by_chance(rng, scene.calendar.presence(rng), 4 * HOUR_S)
        scene.at("updates in clear", times, partial(_fetch_program, site, rng, client, server))


def _fetch_program(site: Site, rng: random.Random, client: Host, server: Host, at: float) -> None:
    talk = site.tcp(client, server, 80, names.resolve(site, client, server, at))
    talk.connect()
    path = f"/v2/{rng.randbytes(16).hex()}/package_{rng.randrange(99)}.exe"
    talk.request(http.request(server.name, path, agent="Microsoft-Delivery-Optimization/10.0"))
    program = shares.PROGRAM_START + rng.randbytes(int(log_uniform(rng, 20_000, 600_000)))
    talk.respond(http.response(200, program, "application/octet-stream", "nginx"))
    talk.close()


def use_a_legacy_service(scene: Scene, rng: random.Random) -> None:
    """Let a few clients ask for tickets of an old service that knows no other cipher than RC4."""
    for client in rng.sample(scene.site.clients, max(1, len(scene.site.clients) // 25)):
        times = by_chance(rng, scene.calendar.presence(rng), 3 * HOUR_S)
        ask = partial(shares.get_ticket, scene.site, client, "HTTP/erp-old.corp.example", cipher=kerberos.RC4)
        scene.at("legacy tickets", times, ask)


def send_to_a_partner(scene: Scene, rng: random.Random) -> None:
    """Let the application server send files to a partner by SFTP or FTP at night."""
    site, app = scene.site, scene.extra["app"]
    partner, size = site.outside(f"sftp.{coined(rng).removeprefix('www.')}"), log_uniform(rng, 1e5, 6e6)
    for at in scene.calendar.nightly(rng.uniform(18.0, 30.0) % 24):
        scene.at("partner files", [at], partial(remote.copy_over_ssh, site, app, partner, size=int(size)))


def look_after_appliances(scene: Scene, rng: random.Random) -> None:
    """Let administrators open the pages of devices, whose certificates nobody signed."""
    site = scene.site
    admin = rng.choice(site.clients)
    for device in (*site.printers, *scene.devices[:4]):
        times = by_chance(rng, scene.calendar.presence(rng), 6 * HOUR_S)
        scene.at("appliance administration", times, partial(_open_page, site, admin, device))


def _open_page(site: Site, admin: Host, device: Host, at: float) -> None:
    talk = site.tcp(admin, device, 443, at)
    talk.connect()
    session = secure.TlsSession(site, talk, device, tls.BROWSER, device.name, is_self_signed=True)
    session.ask(500, 4_000)
    session.close()


ODDITIES: tuple[Oddity, ...] = (
    scan_with_authority, administrate, share_updates, knock_in_vain, knock_at_a_closed_door, check_connectivity,
    make_noise, work_from_home, visit, try_something_out, measure_the_line, ask_a_resolver_outside,
    configure_servers, follow_the_market, receive, fetch_programs_in_clear, use_a_legacy_service, send_to_a_partner,
    look_after_appliances,
)  # fmt: skip
"""Everything odd that happens in a day."""
