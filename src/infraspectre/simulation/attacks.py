"""Attacks of every family, each with parameters drawn widely, to be played inside a span of a site's time."""

from __future__ import annotations

import random
from collections.abc import Callable

from infraspectre.simulation.activities import scans
from infraspectre.simulation.capture import Behaviour
from infraspectre.simulation.drawing import domain, host_name, log_count, log_uniform, span_within, word
from infraspectre.simulation.hosts import LINUX, SCANNER, WINDOWS, Host
from infraspectre.simulation.protocols import kerberos, tls
from infraspectre.simulation.scenarios import (
    beacon,
    bot,
    brute_force,
    dns_tunnel,
    domain_generation,
    exfiltration,
    floods,
    lateral_movement,
    mining,
    poisoning,
    port_scan,
    rare_service,
    web_attack,
)
from infraspectre.simulation.site import Site

Attack = Callable[[Site, random.Random, float, float], list[Behaviour]]
"""Plays one attack between two times in seconds; all that it chooses is drawn from the generator."""
HOUR_S = 3600.0
SERVER_SHARE = 0.15
"""Share of infected machines that are servers; workstations are more, and more exposed."""
CALLS, KNOCKS, GUESSES, PACKETS = 4_000, 4_000, 1_500, 12_000
"""Most calls, knocks, guesses and packets of one attack, which bound the size of a capture."""


def _intruder(site: Site, rng: random.Random, inside: float) -> Host:
    """Return a machine inside, with a probability, or one outside that nobody knows yet."""
    if rng.random() < inside:
        return rng.choice(site.clients)
    return site.outside(host_name(rng), "attacker", rng.choice((SCANNER, LINUX, WINDOWS)))


def _infected(site: Site, rng: random.Random) -> Host:
    """Return a machine that an attacker holds: mostly a workstation, now and then a server."""
    servers = (site.files, site.mail, site.intranet, site.backup)
    return rng.choice(servers if rng.random() < SERVER_SHARE else site.clients)


def _scan(site: Site, rng: random.Random, kind: port_scan.Kind, targets: list[Host], ports: list[int],
          scanner: Host, begin_s: float, end_s: float) -> list[Behaviour]:  # fmt: skip
    return [port_scan.Scan(kind, scanner, targets, ports).play(site, rng, begin_s, end_s)]


def _fast_scan(site: Site, rng: random.Random, begin_s: float, end_s: float) -> list[Behaviour]:
    """Knock on 50 to 4,000 ports of one host, at 2 to 500 a second."""
    count = log_count(rng, 50, KNOCKS)
    scanner = _intruder(site, rng, 0.6)
    target = _target(site, rng, scanner)
    ports = rng.sample(range(1, 65_536), count) if rng.random() < 0.4 else list(range(1, count + 1))
    span = span_within(rng, begin_s, end_s, count / log_uniform(rng, 2, 500))
    return _scan(site, rng, "vertical", [target], ports, scanner, *span)


def _slow_scan(site: Site, rng: random.Random, begin_s: float, end_s: float) -> list[Behaviour]:
    """Knock once in 10 s to 5 min, for the whole span, on ports of one host or of several."""
    scanner, gap_s = _intruder(site, rng, 0.7), log_uniform(rng, 10, 300)
    count = max(8, min(KNOCKS, int((end_s - begin_s) / gap_s)))
    hosts = [_target(site, rng, scanner)] if rng.random() < 0.5 else _several(site, rng, scanner, 2, 8)
    ports = _ports(rng, max(1, count // len(hosts)))
    span = span_within(rng, begin_s, end_s, count * gap_s)
    return _scan(site, rng, "slow", hosts, ports, scanner, *span)


def _horizontal_scan(site: Site, rng: random.Random, begin_s: float, end_s: float) -> list[Behaviour]:
    """Knock on one to three ports of every address of a network, at 0.2 to 200 a second."""
    scanner = _intruder(site, rng, 0.7)
    addresses = port_scan.addresses(site, port_scan.network_of(_target(site, rng, scanner)), scanner)
    targets = addresses[: log_count(rng, 30, len(addresses))]
    ports = rng.sample((445, 3389, 22, 80, 443, 135, 5985, 23, 1433, 3306, 8080, 5900), rng.randrange(1, 4))
    span = span_within(rng, begin_s, end_s, len(targets) * len(ports) / log_uniform(rng, 0.2, 200))
    return _scan(site, rng, "horizontal", targets, ports, scanner, *span)


def _udp_scan(site: Site, rng: random.Random, begin_s: float, end_s: float) -> list[Behaviour]:
    """Send datagrams to likely ports, or to many, of one host or of several."""
    scanner = _intruder(site, rng, 0.7)
    likely = list(port_scan.LIKELY_UDP_PORTS)
    ports = likely if rng.random() < 0.4 else rng.sample(range(1, 65_536), log_count(rng, 40, 1500))
    targets = _several(site, rng, scanner, 3, 20) if ports is likely else [_target(site, rng, scanner)]
    span = span_within(rng, begin_s, end_s, len(targets) * len(ports) / log_uniform(rng, 0.5, 100))
    return _scan(site, rng, "udp", targets, ports, scanner, *span)


def _service_probing(site: Site, rng: random.Random, begin_s: float, end_s: float) -> list[Behaviour]:
    """Ask likely ports of some hosts what they are."""
    scanner = _intruder(site, rng, 0.7)
    targets = _several(site, rng, scanner, 1, 12)
    ports = rng.sample(port_scan.LIKELY_PORTS, rng.randrange(15, len(port_scan.LIKELY_PORTS)))
    span = span_within(rng, begin_s, end_s, len(targets) * len(ports) / log_uniform(rng, 0.5, 20))
    return _scan(site, rng, "services", targets, ports, scanner, *span)


def _ports(rng: random.Random, count: int) -> list[int]:
    """Return likely ports first, then others."""
    rest = [port for port in range(1, 10_000) if port not in port_scan.LIKELY_PORTS]
    return [*port_scan.LIKELY_PORTS[:count], *rng.sample(rest, max(0, count - len(port_scan.LIKELY_PORTS)))]


def _target(site: Site, rng: random.Random, attacker: Host) -> Host:
    return _several(site, rng, attacker, 1, 1)[0]


def _several(site: Site, rng: random.Random, attacker: Host, least: int, most: int) -> list[Host]:
    """Return machines of the site; from outside only servers can be reached."""
    inside = [*site.servers, *([] if attacker.hops else site.clients)]
    others = [host for host in inside if host is not attacker]
    return rng.sample(others, min(len(others), rng.randint(least, most)))


def _guess(site: Site, rng: random.Random, begin_s: float, end_s: float, is_spray: bool) -> list[Behaviour]:
    reachable: list[brute_force.Service] = [
        each for each in brute_force.SERVICES if brute_force.targets_of(site, each) and (each != "kerberos" or is_spray)
    ]
    service = rng.choice(reachable)
    inside = 1.0 if service in ("kerberos", "winrm") else 0.4
    attacker = _intruder(site, rng, inside)
    target = rng.choice(brute_force.targets_of(site, service))
    attempts = log_count(rng, 30, GUESSES)
    users = brute_force.accounts(rng, rng.randrange(15, 80)) if is_spray else rng.sample(brute_force.USERS, 2)
    more = _more_targets(site, rng, service, attacker) if is_spray and rng.random() < 0.5 else ()
    success = rng.random() < 0.4
    guessing = brute_force.Guessing(attacker, target, service, attempts, success, tuple(users), is_spray, more)
    rate = log_uniform(rng, 0.01, 0.5) if is_spray else log_uniform(rng, 0.02, 10)
    return [guessing.play(site, rng, *span_within(rng, begin_s, end_s, attempts / rate))]


def _more_targets(site: Site, rng: random.Random, service: brute_force.Service, attacker: Host) -> tuple[Host, ...]:
    """Return workstations that offer a service, for guesses from inside."""
    offering = [each for each in site.clients if brute_force.PORTS[service] in scans.open_ports(each)]
    others = [each for each in offering if each is not attacker and not attacker.hops]
    return tuple(rng.sample(others, min(len(others), rng.randrange(3, 25))))


def _brute_force(site: Site, rng: random.Random, begin_s: float, end_s: float) -> list[Behaviour]:
    """Guess passwords of one or two accounts, one in 50 s to 10 a second."""
    return _guess(site, rng, begin_s, end_s, is_spray=False)


def _password_spray(site: Site, rng: random.Random, begin_s: float, end_s: float) -> list[Behaviour]:
    """Try few passwords of many accounts, one in 100 s to one in 2 s."""
    return _guess(site, rng, begin_s, end_s, is_spray=True)


def _flood(kind: floods.Kind, least: int, most: int, longest_s: float) -> Attack:
    def play(site: Site, rng: random.Random, begin_s: float, end_s: float) -> list[Behaviour]:
        victims = [each for each in site.servers if 80 in scans.open_ports(each)]
        system = floods.SLOW_READER if kind == "slow-read" else None
        senders = floods.bots_outside(site, log_count(rng, 1, 60), system, domain(rng))
        requests, port = log_count(rng, least, most), rng.choice((53, 80, 123, 443, rng.randrange(1024, 65_536)))
        span = span_within(rng, begin_s, end_s, log_uniform(rng, longest_s / 20, longest_s))
        port = port if kind == "udp" else 80
        return [floods.drown(site, rng, kind, senders, rng.choice(victims), requests, *span, port)]

    return play


def _amplification(site: Site, rng: random.Random, begin_s: float, end_s: float) -> list[Behaviour]:
    """Drown a server in answers of 3 to 80 reflectors."""
    protocol: floods.Protocol = rng.choice(("dns", "ntp", "ssdp", "memcached"))
    name = domain(rng)
    senders = [site.outside(f"{protocol}{number}.{name}", "reflector") for number in range(log_count(rng, 3, 80))]
    span = span_within(rng, begin_s, end_s, log_uniform(rng, 10, 600))
    answers = log_count(rng, 1_500, PACKETS)
    return [floods.reflect(site, rng, protocol, senders, rng.choice(site.servers), answers, *span)]


def _beacon(channel: beacon.Channel) -> Attack:
    def play(site: Site, rng: random.Random, begin_s: float, end_s: float) -> list[Behaviour]:
        return [beacon.call_home(site, rng, _infected(site, rng), drawn_beacon(rng, channel, end_s - begin_s),
                                 begin_s + rng.random() * (end_s - begin_s) * 0.05, end_s)]  # fmt: skip

    return play


LEAST_CALLS = 8
"""Calls that a span must have room for, so that there is something to see."""


def drawn_beacon(rng: random.Random, channel: beacon.Channel, span_s: float) -> beacon.Beacon:
    """Draw a beacon with a period of 10 s to 6 hours, as far as a span has room for some calls."""
    longest = max(10.0, min(6 * HOUR_S, span_s / LEAST_CALLS))
    period_s = max(log_uniform(rng, min(10.0, longest), longest), span_s / CALLS)
    jitter = rng.choice((0.0, rng.uniform(0.0, 0.2), rng.uniform(0.2, 0.5), rng.uniform(0.5, 0.95)))
    skip = rng.choice((0.0, 0.0, rng.uniform(0.05, 0.5)))
    is_working = span_s > 12 * HOUR_S and period_s < HOUR_S and rng.random() < 0.3
    awake = (7.0, rng.uniform(16.0, 20.0)) if is_working else (0.0, 24.0)
    odd_port = rng.choice((0, 0, 0, {"http": 8080, "tls": 8443}.get(channel, 0)))
    port = rng.choice((4444, 1337, 6666, 9001, rng.randrange(1025, 65_000))) if channel == "tcp" else odd_port
    look: beacon.Look = rng.choice(("implant", "own", "system", "fronted"))
    rhythm = beacon.Rhythm(period_s, jitter, skip, awake)
    return beacon.Beacon(channel, rhythm, port, look, host_name(rng), rng.random() < 0.8)


def _domain_generation(site: Site, rng: random.Random, begin_s: float, end_s: float) -> list[Behaviour]:
    """Try 20 to 1,000 names of one kind, one in 20 s to 20 a second."""
    kind: domain_generation.Kind = rng.choice(("letters", "hex", "arithmetic", "words"))
    tries = log_count(rng, 20, 1_000)
    span = span_within(rng, begin_s, end_s, tries / log_uniform(rng, 0.05, 20))
    victim, is_called = _infected(site, rng), rng.random() < 0.6
    return [domain_generation.search(site, rng, victim, kind, tries, *span, is_called)]


def _dns_tunnel(site: Site, rng: random.Random, begin_s: float, end_s: float) -> list[Behaviour]:
    """Carry data at 0.5 to 5,000 bytes a second in names of any encoding and answers of any kind."""
    rate, bytes_each = log_uniform(rng, 0.5, 5_000), rng.choice((24, 48, 100, 140, 180))
    server = site.outside(f"ns1.{domain(rng)}", "control server") if rng.random() < 0.3 else None
    tunnel = dns_tunnel.Tunnel(
        rng.choice(("txt", "null", "cname", "mx", "a", "aaaa")), rng.choice(("base32", "base64", "hex")), domain(rng),
        bytes_each, server, rng.choice((0, 0, 0, log_count(rng, 2, 12))),
    )  # fmt: skip
    most = tunnel.upward_bytes * CALLS
    span = span_within(rng, begin_s, end_s, most / rate)
    size = max(tunnel.upward_bytes * 10, int(rate * (span[1] - span[0])))
    return [tunnel.play(site, rng, _infected(site, rng), size, *span)]


def _theft(rng: random.Random) -> exfiltration.Theft:
    channel: exfiltration.Channel = rng.choice(("https", "https", "http", "ftp", "ssh", "icmp", "cloud"))
    drop = rng.choice(exfiltration.CLOUD_SERVERS) if channel == "cloud" else host_name(rng)
    return exfiltration.Theft(channel, drop, rng.choice((tls.SCRIPT, tls.SYSTEM, tls.BROWSER)))


def _exfiltration(site: Site, rng: random.Random, begin_s: float, end_s: float) -> list[Behaviour]:
    """Carry off 1 to 40 MB in one to six bursts."""
    pieces, total = rng.randrange(1, 7), log_uniform(rng, 1e6, 4e7)
    theft, victim = _theft(rng), _infected(site, rng)
    total = min(total, 4e6) if theft.channel == "icmp" else total
    span = span_within(rng, begin_s, end_s, pieces * log_uniform(rng, 60, 1_800))
    return [theft.play(site, rng, victim, [int(total / pieces)] * pieces, *span)]


def _slow_exfiltration(site: Site, rng: random.Random, begin_s: float, end_s: float) -> list[Behaviour]:
    """Carry off 2 to 500 bytes a second in small pieces, for the whole span."""
    rate, gap_s = log_uniform(rng, 2, 500), log_uniform(rng, 30, 1_800)
    pieces = max(5, min(CALLS, int((end_s - begin_s) / gap_s)))
    size = max(200, int(rate * (end_s - begin_s) / pieces))
    sizes = [max(100, int(size * rng.lognormvariate(0, 0.4))) for _ in range(pieces)]
    return [_theft(rng).play(site, rng, _infected(site, rng), sizes, begin_s, end_s)]


def _spread(way: lateral_movement.Way) -> Attack:
    def play(site: Site, rng: random.Random, begin_s: float, end_s: float) -> list[Behaviour]:
        attacker = rng.choice(site.clients)
        victims = lateral_movement.others(site, attacker)
        chosen = rng.sample(victims, min(len(victims), rng.randrange(3, 16)))
        user, service = rng.choice(("administrator", "svc-deploy", "helpdesk")), rng.choice(("PSEXESVC", word(rng, 4)))
        spread = lateral_movement.Spread(way, user, rng.uniform(5, 40), service)
        span = span_within(rng, begin_s, end_s, len(chosen) * log_uniform(rng, 5, 900))
        return [spread.play(site, rng, attacker, chosen, *span)]

    return play


def _roast(kind: lateral_movement.Roast) -> Attack:
    def play(site: Site, rng: random.Random, begin_s: float, end_s: float) -> list[Behaviour]:
        count = log_count(rng, 5, 40)
        span = span_within(rng, begin_s, end_s, count * log_uniform(rng, 0.1, 30))
        cipher = rng.choice((kerberos.RC4, kerberos.RC4, kerberos.AES256))
        return [lateral_movement.roast(site, rng, kind, rng.choice(site.clients), count, *span, cipher)]

    return play


def _web(kinds: tuple[web_attack.Kind, ...], least: int, most: int, slowest_s: float) -> Attack:
    def play(site: Site, rng: random.Random, begin_s: float, end_s: float) -> list[Behaviour]:
        attacker, requests = _intruder(site, rng, 0.2), log_count(rng, least, most)
        victim = rng.choice([each for each in site.servers if 80 in scans.open_ports(each)])
        span = span_within(rng, begin_s, end_s, requests * log_uniform(rng, 0.05, slowest_s))
        return [web_attack.strike(site, rng, rng.choice(kinds), attacker, victim, requests, *span)]

    return play


def _mining(site: Site, rng: random.Random, begin_s: float, end_s: float) -> list[Behaviour]:
    """Mine for half an hour to the whole span, in clear or in TLS, at one of the usual ports of pools."""
    port = rng.choice((3333, 4444, 5555, 7777, 8080, 14444, 14433, 443))
    is_secure = port in (443, 14433) or rng.random() < 0.3
    mine = mining.Mine(host_name(rng), port, is_secure, log_uniform(rng, 10, 120), log_uniform(rng, 10, 300))
    span = span_within(rng, begin_s, end_s, log_uniform(rng, 0.5 * HOUR_S, 12 * HOUR_S))
    return [mine.play(site, rng, _infected(site, rng), *span)]


def _bots(channels: tuple[bot.Channel, ...]) -> Attack:
    def play(site: Site, rng: random.Random, begin_s: float, end_s: float) -> list[Behaviour]:
        channel = rng.choice(channels)
        port = rng.choice((0, 0, 8080, rng.randrange(1025, 65_000)))
        herd = bot.Herd(channel, host_name(rng), port, log_uniform(rng, 45, 600), log_uniform(rng, 300, 5_000))
        victims = rng.sample(site.clients, min(len(site.clients), rng.randrange(1, 6)))
        return [herd.play(site, rng, victims, begin_s, end_s)]

    return play


def _poisoning(kinds: tuple[poisoning.Kind, ...], least_s: float, most_s: float) -> Attack:
    def play(site: Site, rng: random.Random, begin_s: float, end_s: float) -> list[Behaviour]:
        network = port_scan.network_of(site.clients[0])
        near = [host for host in site.clients if port_scan.network_of(host) == network]
        rogue, *victims = rng.sample(near, min(len(near), rng.randrange(3, 10)))
        span = span_within(rng, begin_s, end_s, log_uniform(rng, 600, 3 * HOUR_S))
        gap_s = min(log_uniform(rng, least_s, most_s), (span[1] - span[0]) / LEAST_CALLS)
        return [poisoning.poison(site, rng, rng.choice(kinds), rogue, victims, gap_s, *span)]

    return play


def _rare_service(site: Site, rng: random.Random, begin_s: float, end_s: float) -> list[Behaviour]:
    """Listen on one workstation at a port that nobody used, for some others."""
    listener, *clients = rng.sample(site.clients, min(len(site.clients), rng.randrange(3, 10)))
    port = rng.choice((31_337, 4444, 1337, 9001, 5555, rng.randrange(1025, 49_000)))
    return [rare_service.listen(site, rng, listener, clients, port, log_uniform(rng, 30, 1_200), begin_s, end_s)]


def _reverse_shell(site: Site, rng: random.Random, begin_s: float, end_s: float) -> list[Behaviour]:
    """Let an intruder type on a machine that called out, for two minutes to an hour."""
    master = site.outside(host_name(rng), "control server")
    port = rng.choice((4444, 9001, 1234, 8443, 53, rng.randrange(1025, 65_000)))
    span = span_within(rng, begin_s, end_s, log_uniform(rng, 120, HOUR_S))
    return [rare_service.reverse_shell(site, rng, _infected(site, rng), master, port, *span)]


ATTACKS: dict[str, Attack] = {
    "fast-scan": _fast_scan,
    "slow-scan": _slow_scan,
    "horizontal-scan": _horizontal_scan,
    "udp-scan": _udp_scan,
    "service-probing": _service_probing,
    "brute-force": _brute_force,
    "password-spray": _password_spray,
    "syn-flood": _flood("syn", 2_000, PACKETS, 300),
    "udp-flood": _flood("udp", 2_000, PACKETS, 300),
    "icmp-flood": _flood("icmp", 2_000, PACKETS, 300),
    "http-flood": _flood("http", 400, 3_000, 600),
    "slow-headers": _flood("slow-headers", 40, 300, 1_200),
    "slow-read": _flood("slow-read", 30, 150, 900),
    "amplification": _amplification,
    "http-beacon": _beacon("http"),
    "tls-beacon": _beacon("tls"),
    "dns-beacon": _beacon("dns"),
    "icmp-beacon": _beacon("icmp"),
    "tcp-beacon": _beacon("tcp"),
    "domain-generation": _domain_generation,
    "dns-tunnel": _dns_tunnel,
    "exfiltration": _exfiltration,
    "slow-exfiltration": _slow_exfiltration,
    "psexec": _spread("psexec"),
    "winrm": _spread("winrm"),
    "winrm-tls": _spread("winrm-tls"),
    "rdp-fan-out": _spread("rdp"),
    "ssh-fan-out": _spread("ssh"),
    "wmi": _spread("wmi"),
    "kerberoasting": _roast("kerberoasting"),
    "asrep-roasting": _roast("asrep-roasting"),
    "web-attack": _web(("mixed", "injection", "traversal", "scripting", "commands"), 30, 600, 20),
    "web-scan": _web(("scanner",), 100, 2_000, 5),
    "web-shell": _web(("shell",), 10, 120, 120),
    "mining": _mining,
    "irc-bot": _bots(("irc", "ircs")),
    "http-bot": _bots(("http",)),
    "arp-poisoning": _poisoning(("arp",), 1, 30),
    "name-poisoning": _poisoning(("llmnr", "netbios", "mdns"), 20, 600),
    "dhcp-poisoning": _poisoning(("dhcp",), 1, 2),
    "rare-service": _rare_service,
    "reverse-shell": _reverse_shell,
}
"""Every attack by its name."""
