"""People: what those who work at a site do while they are there."""

from __future__ import annotations

from infraspectre.simulation.activities import calls, mail, names, remote, services, shares, web
from infraspectre.simulation.drawing import log_uniform
from infraspectre.simulation.hosts import LINUX, Host
from infraspectre.simulation.protocols import dns, ssh
from infraspectre.simulation.scenarios.background import MISSES
from infraspectre.simulation.scenarios.calendar import HOUR_S
from infraspectre.simulation.scenarios.internet import FAVOURITES
from infraspectre.simulation.scenarios.scene import Act, Scene, by_chance

CALL_GAP_S = 0.1
"""Time between two packets of a call here; true ones send every 20 ms, which would be most packets of a day."""
LARGE_BYTES = 3e6, 3e7
"""What somebody uploads at once now and then: a film, a folder, an archive."""


Habit = tuple[str, float, Act]
"""A benign behaviour, how many times an hour an ordinary person shows it, and what is done then."""


class Person:
    """Works at one machine, at some hours and with some eagerness."""

    def __init__(self, scene: Scene, client: Host) -> None:
        """Draw when a person is there and how busy; most are like each other, a few do several times as much."""
        self.site, self.client, self._scene = scene.site, client, scene
        self.rng = scene.site.derived(f"person/{client.name}")
        self.present = scene.calendar.presence(self.rng)
        self._eagerness = self.rng.lognormvariate(0.0, 0.5)
        self._favourites = [scene.internet.page(self.rng) for _ in range(FAVOURITES)]
        self._is_developer = self.rng.random() < 0.12
        self._cloud = scene.internet.cloud(self.rng) if self.rng.random() < 0.3 else ""

    def work(self) -> None:
        """Do what office workers do."""
        for begin_s, _ in self.present:
            self._sit_down(begin_s)
        for behaviour, times_per_hour, act in self._habits():
            mean_s = HOUR_S / (times_per_hour * self._eagerness)
            self._scene.at(behaviour, by_chance(self.rng, self.present, mean_s), act)

    def _habits(self) -> list[Habit]:
        site, client = self.site, self.client
        habits: list[Habit] = [
            ("web browsing", 4.0, self._read_a_page),
            ("mail", 0.8, lambda at: mail.submit(site, client, site.mail, at)),
            ("mail", 2.0, lambda at: mail.read_new(site, client, site.mail, at)),
            ("file server", 0.7, lambda at: shares.use_files(site, client, site.files, at)),
            ("intranet", 0.8, self._read_the_intranet),
            ("printing", 0.1, self._print),
            ("failed lookups", 0.5, self._mistype_a_name),
            ("video", 0.02, self._watch),
            ("video call", 0.025, self._call),
            ("mistyped password", 0.03, self._mistype_a_password),
            ("large upload", 0.004, self._send_much),
        ]
        if self._cloud:
            habits.append(("cloud synchronisation", 0.25, self._synchronise))
        if self._is_developer:
            habits.append(("version control", 1.0, self._commit))
        return habits

    def _sit_down(self, at: float) -> None:
        self.site.arp(self.client, self.client, at, is_answered=False)
        self.site.arp(self.client, self.site.gateway(self.client), at + 0.2)
        self._scene.at("address assignment", [at], lambda at: services.renew(self.site, self.client, at))
        self._scene.at("domain logon", [at + 1.0], self._log_on)
        self._scene.at("local announcements", [at + 2.0], lambda at: services.announce(self.site, self.client, at))
        if self.rng.random() < 0.5:
            self._scene.at("network probing of browsers", [at + 20.0], self._probe_for_a_liar)

    def _log_on(self, at: float) -> None:
        end = shares.log_on_to_domain(self.site, self.client, at)
        shares.get_ticket(self.site, self.client, "cifs/files.corp.example", end + 0.1)

    def _probe_for_a_liar(self, at: float) -> None:
        """Ask for three random names, as Chromium does to learn whether the resolver invents answers."""
        for number in range(3):
            letters = "".join(self.rng.choices("abcdefghijklmnopqrstuvwxyz", k=self.rng.randrange(7, 16)))
            names.miss(self.site, self.client, f"{letters}.corp.example", at + number * 0.01)

    def _read_a_page(self, at: float) -> None:
        is_favourite = self.rng.random() < 0.6
        page = self.rng.choice(self._favourites) if is_favourite else self._scene.internet.page(self.rng)
        self._browse(page, at)
        for companion in self._scene.internet.companions(self.rng):
            at += self.rng.uniform(0.05, 0.8)
            web.poll(self.site, self.client, self.site.outside(companion), at)

    def _browse(self, page: str, at: float) -> None:
        server, kind = self.site.outside(page), self.rng.random()
        if kind < 0.12:
            calls.browse_by_quic(self.site, self.rng, self.client, server, at)
        elif kind < 0.22:
            web.browse6(self.site, self.client, server, at)
        else:
            web.browse(self.site, self.client, server, at)

    def _read_the_intranet(self, at: float) -> None:
        names.resolve(self.site, self.client, self.site.intranet, at)
        targets = ("/", f"/wiki/page{self.rng.randrange(40)}", "/logo.svg")
        web.fetch(self.site, self.client, self.site.intranet, at + 0.01, targets)

    def _print(self, at: float) -> None:
        services.print_page(self.site, self.client, self.rng.choice(self.site.printers), at)

    def _mistype_a_name(self, at: float) -> None:
        """Ask for what does not exist, also with the search domain appended as resolvers do (RFC 1034, 3.1)."""
        name = self.rng.choice((*MISSES, "files", "intranett", "nas01", "sharepoint-old", "www.gogle"))
        tries = [name, f"{name}.corp.example", f"{name}.branch.corp.example"][: self.rng.randrange(1, 4)]
        for number, each in enumerate(tries):
            names.miss(self.site, self.client, each, at + number * 0.03)
            names.ask(self.site, self.client, self.site.dns, each, at + number * 0.03 + 0.001, (), dns.AAAA, 3)

    def _watch(self, at: float) -> None:
        server = self.site.outside("video.streamhub.com")
        web.watch(self.site, self.client, server, at, self.rng.uniform(60.0, 600.0))

    def _call(self, at: float) -> None:
        relay = self.site.outside(f"relay{self.rng.randrange(6)}.meetwell.com")
        calls.call(self.site, self.rng, self.client, relay, at, log_uniform(self.rng, 30, 400), CALL_GAP_S)

    def _send_much(self, at: float) -> None:
        server = self.site.outside(self._cloud or f"upload.{self._scene.internet.page(self.rng)}")
        web.upload(self.site, self.client, server, at, int(log_uniform(self.rng, *LARGE_BYTES)))

    def _synchronise(self, at: float) -> None:
        size = int(self.rng.lognormvariate(10.5, 1.6))
        web.upload(self.site, self.client, self.site.outside(self._cloud), at, min(size, 5_000_000))

    def _commit(self, at: float) -> None:
        """Pull or push over SSH: from the own server, or from one outside."""
        outside = self.site.outside("git.codeharbour.com", system=LINUX)
        server = self._scene.extra["git"] if self.rng.random() < 0.6 else outside
        if self.rng.random() < 0.7:
            remote.use_ssh(self.site, self.client, server, at, 0)
        else:
            remote.copy_over_ssh(self.site, self.client, server, at, int(log_uniform(self.rng, 3_000, 4_000_000)))

    def _mistype_a_password(self, at: float) -> None:
        """Be refused once or more, then get it right."""
        kind = self.rng.choice(("smb", "mail", "web", "kerberos", "rdp", "ssh"))
        for _ in range(self.rng.choice((1, 1, 1, 2, 2, 3, 5))):
            at = self._be_refused(kind, at) + self.rng.uniform(2.0, 25.0)
        self._be_let_in(kind, at)

    def _be_refused(self, kind: str, at: float) -> float:
        site, client = self.site, self.client
        match kind:
            case "smb":
                return shares.fail_logon(site, client, site.files, at, shares.user_of(client))
            case "mail":
                return mail.fail(site, client, site.mail, at, "imaps", shares.user_of(client), ["wrong horse"])
            case "web":
                return web.form_login(site, client, site.intranet, at, ["user=me&password=wrong"], True)
            case "rdp":
                return remote.fail_rdp(site, client, site.files, at, shares.user_of(client))
            case "ssh":
                tries = self.rng.randrange(1, 4)
                return remote.fail_ssh(site, client, site.intranet, at, ssh.OPENSSH_CLIENT, tries)
        return shares.log_on_to_domain(site, client, at, is_right=False)

    def _be_let_in(self, kind: str, at: float) -> None:
        site, client = self.site, self.client
        match kind:
            case "smb":
                shares.use_files(site, client, site.files, at)
            case "mail":
                mail.read_new(site, client, site.mail, at)
            case "web":
                web.form_login(site, client, site.intranet, at, ["user=me&password=right"], True, True)
            case "rdp":
                remote.use_rdp(site, client, site.files, at, shares.user_of(client), log_uniform(self.rng, 5, 60))
            case "ssh":
                remote.use_ssh(site, client, site.intranet, at, self.rng.randrange(1, 8))
            case _:
                shares.log_on_to_domain(site, client, at)
