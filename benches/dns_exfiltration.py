"""How soon data that leaves in questions for names is found, at 2, 1 and half a byte a second.

`python -m benches dns_exfiltration` plays the days that are reported; `python -m benches.dns_exfiltration --seeds 1 2`
plays others.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Sequence
from typing import get_args

from benches.days import Day, Outcome, Played, false_figure, false_table, played, share
from benches.report import Cell, Figure, Report, Table, markdown
from infraspectre.simulation.drawing import domain, log_count
from infraspectre.simulation.scenarios.day import day as ordinary_day
from infraspectre.simulation.scenarios.dns_tunnel import Encoding, Record, Tunnel
from infraspectre.simulation.site import Site

RATES = (2.0, 1.0, 0.5)
"""Bytes a second of data, without what encoding adds."""
FLOORS = {2.0: ("1.00", ""), 1.0: ("", ""), 0.5: ("", "1.00")}
"""What the table of the issue asks for, as a share of tunnels."""
EACH, HOSTS, HOURS = 3, 40, 2.0
"""Tunnels of each rate in one capture, on as many hosts, each with a domain of its own."""
SOON_S = 1_800.0
DAYS = tuple(Day(seed, HOSTS, HOURS, EACH * len(RATES), "tunnels") for seed in range(5000, 5008))
"""The captures that are reported. Nothing was developed on them: whoever works on detectors plays seeds below 100."""


def drawn_tunnel(site: Site, rng: random.Random) -> Tunnel:
    """Draw a tunnel as any day does: names of any length and encoding, answers of any kind, one pace or bursts."""
    server = site.outside(f"ns1.{domain(rng)}", "control server") if rng.random() < 0.3 else None
    bursts = rng.choice((0, 0, 0, log_count(rng, 2, 12)))
    size = rng.choice((24, 48, 100, 140, 180))
    return Tunnel(rng.choice(get_args(Record)), rng.choice(get_args(Encoding)), domain(rng), size, server, bursts)


def leaking_day(day: Day) -> Site:
    """Play ordinary work in which some hosts send data out in questions for names, up to the end."""
    end_s = day.hours * 3600
    site = ordinary_day(f"day/{day.seed}", hosts=day.hosts, duration_s=end_s, attacks=0)
    rng = site.derived("tunnels")
    for victim, rate in zip(rng.sample(site.clients, day.attacks), RATES * EACH, strict=True):
        begin_s = end_s * rng.uniform(0.01, 0.25)
        behaviour = drawn_tunnel(site, rng).play(site, rng, victim, int(rate * (end_s - begin_s)), begin_s, end_s)
        behaviour.parameters["rate"] = rate
    return site


def write(day: Day) -> None:
    """Play a day and write it down."""
    options = {"hosts": day.hosts, "duration_s": day.hours * 3600, "attacks": day.attacks}
    leaking_day(day).write(day.folder, "tunnels", day.seed, options)


def measure() -> Report:
    """Play the captures that are reported."""
    return report([played(day, write) for day in DAYS])


def is_soon(outcome: Outcome) -> bool:
    """Tell whether a tunnel was found within half an hour of event time."""
    return outcome.delay_s is not None and outcome.delay_s <= SOON_S


def report(days: Sequence[Played]) -> Report:
    """Return what was found at each rate, and how soon."""
    outcomes = [one for day in days for one in day.outcomes]
    by_rate = {rate: [one for one in outcomes if one.attack.parameters["rate"] == rate] for rate in RATES}
    figures = [
        Figure(f"tunnels found within 30 minutes, {rate:g} bytes/s", share(map(is_soon, its)), "", *FLOORS[rate])
        for rate, its in by_rate.items()
    ]
    return Report(
        [*figures, false_figure(days)], [rate_table(by_rate), late_table(outcomes), false_table(days)], [METHOD]
    )


METHOD = (
    "Each capture has 40 hosts, two hours of ordinary work and nine tunnels, each on a host and with a domain of its "
    "own, with encoding, record, length of names, server and bursts drawn as in `days`. Time counts from a tunnel's "
    "first question until an incident about it is of medium level (`detected_at`)."
)


def rate_table(by_rate: dict[float, list[Outcome]]) -> Table:
    """Return what was found of each rate."""
    rows: list[Sequence[Cell]] = []
    for rate, its in by_rate.items():
        delays = sorted(one.delay_s for one in its if one.delay_s is not None)
        found, named = (share(values) for values in ((one.is_found for one in its), (one.is_named for one in its)))
        median, most = (round(delays[place] / 60, 1) if delays else "" for place in (len(delays) // 2, -1))
        rows.append((f"{rate:g}", len(its), found, named, share(map(is_soon, its)), median, most))
    header = "bytes/s", "tunnels", "loosely", "strictly", "within 30 minutes", "median minutes", "most minutes"
    return Table("By rate", header, rows)


def late_table(outcomes: Sequence[Outcome]) -> Table:
    """Return the tunnels that were found late or never, with their parameters."""
    rows: list[Sequence[Cell]] = [
        (
            one.attack.parameters["rate"],
            "" if one.delay_s is None else round(one.delay_s / 60, 1),
            str(one.attack.parameters),
        )
        for one in outcomes
        if not is_soon(one)
    ]
    return Table("Late or missed", ("bytes/s", "minutes", "parameters"), rows)


def main() -> int:
    """Play captures of one's own choice."""
    parser = argparse.ArgumentParser(prog="python -m benches.dns_exfiltration", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    chosen = parser.parse_args()
    days = [played(Day(seed, HOSTS, HOURS, EACH * len(RATES), "tunnels"), write) for seed in chosen.seeds]
    print(markdown("dns_exfiltration", "", report(days)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
