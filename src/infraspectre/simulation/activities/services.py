"""Services that machines use by themselves: addresses, time, monitoring, printing and local announcements."""

from __future__ import annotations

from dataclasses import replace

from infraspectre.simulation.hosts import Host
from infraspectre.simulation.protocols import der, dhcp, dns, http, ntp
from infraspectre.simulation.site import Site

ANYONE = Host("broadcast", "255.255.255.255", b"\xff" * 6, "broadcast")
NOBODY_IP = "0.0.0.0"  # noqa: S104 - what DHCP sends before it has an address (RFC 2131, 4.1)
MDNS_GROUP = Host("mdns", "224.0.0.251", bytes.fromhex("01005e0000fb"), "multicast group")
SSDP_GROUP = Host("ssdp", "239.255.255.250", bytes.fromhex("01005e7ffffa"), "multicast group")
_SSDP_SEARCH = (
    b'M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\nMX: 1\r\n'
    b"ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n\r\n"
)
_SNMP_UPTIME, _SNMP_OCTETS_IN = "1.3.6.1.2.1.1.3.0", "1.3.6.1.2.1.2.2.1.10.1"


def join(site: Site, client: Host, at: float) -> float:
    """Get an address as a machine that has none yet."""
    nobody = Host(client.name, NOBODY_IP, client.mac, client.role, client.system)
    number, name = site.rng.getrandbits(32), client.name.partition(".")[0]
    server, offered = site.router.address, client.address
    asking = site.udp(nobody, ANYONE, 67, at, 68)
    asking.request(dhcp.message(dhcp.DISCOVER, number, client.mac, name=name))
    giving = site.udp(site.router, ANYONE, 68, at + 0.4, 67)
    giving.request(dhcp.message(dhcp.OFFER, number, client.mac, offered=offered, server=server))
    asking.wait(0.41)
    asking.request(dhcp.message(dhcp.REQUEST, number, client.mac, server=server, name=name, requested=offered))
    giving.wait(0.02)
    giving.request(dhcp.message(dhcp.ACK, number, client.mac, offered=offered, server=server))
    return giving.now


def renew(site: Site, client: Host, at: float) -> float:
    """Renew an address; once for each host, since the ports are fixed."""
    number, name = site.rng.getrandbits(32), client.name.partition(".")[0]
    talk = site.udp(client, site.router, 67, at, 68)
    talk.request(dhcp.message(dhcp.REQUEST, number, client.mac, client.address, name=name))
    talk.respond(dhcp.message(dhcp.ACK, number, client.mac, client.address, client.address, server=site.router.address))
    return talk.now


def ask_time(site: Site, client: Host, server: Host, at: float) -> float:
    """Ask what time it is."""
    talk = site.udp(client, server, 123, at)
    now_s = site.now_s(at) + at % 1
    question = ntp.request(now_s)
    talk.request(question)
    talk.respond(ntp.response(question, now_s, site.rng))
    return talk.now


def _snmp(kind: int, number: int, value: bytes) -> bytes:
    names = [der.sequence(der.oid(each), value) for each in (_SNMP_UPTIME, _SNMP_OCTETS_IN)]
    data = der.value(kind, der.integer(number), der.integer(0), der.integer(0), der.sequence(*names))
    return der.sequence(der.integer(1), der.value(der.OCTET_STRING, b"public"), data)


def monitor(site: Site, target: Host, at: float) -> float:
    """Ask a device for its counters with SNMP version 2c (RFC 3416)."""
    number = site.rng.getrandbits(30)
    talk = site.udp(site.monitor, target, 161, at)
    talk.request(_snmp(0xA0, number, b"\x05\x00"))
    talk.respond(_snmp(0xA2, number, der.value(0x41, site.rng.randbytes(3))))
    return talk.now


def check_web(site: Site, target: Host, at: float) -> float:
    """Ask a web server whether it is well."""
    talk = site.tcp(site.monitor, target, 80, at)
    talk.connect()
    talk.request(http.request(target.name, "/health", agent="monitor/3.1"))
    talk.respond(http.response(200, b"ok\n", "text/plain"))
    talk.close()
    return talk.now


def ping(site: Site, orig: Host, resp: Host, at: float, times: int = 4) -> float:
    """Ping a host a few times; once for each pair, since all echoes of a pair are one flow."""
    talk = site.echo(orig, resp, at)
    for _ in range(times):
        talk.ask(b"abcdefghijklmnopqrstuvwabcdefghi")
        talk.reply(b"abcdefghijklmnopqrstuvwabcdefghi")
        talk.wait(1.0)
    return talk.now


def print_page(site: Site, client: Host, printer: Host, at: float) -> float:
    """Print a document on port 9100."""
    talk = site.tcp(client, printer, 9100, at)
    talk.connect()
    page = b"\x1b%-12345X@PJL JOB\r\n@PJL ENTER LANGUAGE=PCLXL\r\n"
    talk.request(page + site.rng.randbytes(site.size(80_000)) + b"\x1b%-12345X@PJL EOJ\r\n")
    talk.wait(0.5)
    talk.close()
    return talk.now


def announce(site: Site, client: Host, at: float) -> None:
    """Look for devices on the local network, with mDNS (RFC 6762, 11: TTL 255) and SSDP; once for each host."""
    local = replace(client, system=replace(client.system, ttl=255))
    talk = site.udp(local, MDNS_GROUP, 5353, at, 5353)
    for _ in range(3):
        talk.request(dns.query(0, "_ipp._tcp.local", dns.PTR))
        talk.wait(1.0)
    talk = site.udp(client, SSDP_GROUP, 1900, at + 2.0)
    for _ in range(4):
        talk.request(_SSDP_SEARCH)
        talk.wait(1.0)
