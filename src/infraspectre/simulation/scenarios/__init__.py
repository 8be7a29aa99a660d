"""The scenarios: stories of benign and hostile behaviour, one file per theme."""

from __future__ import annotations

from collections.abc import Callable

from infraspectre.simulation.scenarios import (
    attack,
    beacon,
    bot,
    brute_force,
    bulk,
    campaign,
    day,
    dns_tunnel,
    domain_generation,
    exfiltration,
    floods,
    lateral_movement,
    mining,
    office,
    poisoning,
    port_scan,
    rare_service,
    web_attack,
)
from infraspectre.simulation.scenarios.scenario import Played, Scenario

_STORIES: tuple[Callable[..., Played], ...] = (
    office.office,
    attack.attack,
    day.day,
    port_scan.port_scan,
    brute_force.brute_force,
    beacon.beacon,
    dns_tunnel.dns_tunnel,
    domain_generation.domain_generation,
    exfiltration.exfiltration,
    lateral_movement.lateral_movement,
    floods.flood,
    floods.syn_flood,
    floods.amplification,
    web_attack.web_attack,
    mining.mining,
    bot.bot,
    poisoning.poisoning,
    rare_service.rare_service,
    campaign.campaign,
    campaign.sample,
    bulk.bulk,
)

SCENARIOS: dict[str, Scenario] = {each.name: each for each in map(Scenario, _STORIES)}
"""Every scenario by its name."""

__all__ = ["SCENARIOS", "Scenario"]
