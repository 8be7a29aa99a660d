"""Families of findings: what a detection's category means for wording, tactics, pace and playbooks."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

import msgspec

Preposition = Literal["of", "on", "to", "from", "by", "for", "against", "through"]


class Family(msgspec.Struct, frozen=True):
    """Describes findings that mean the same kind of activity."""

    name: str
    keywords: tuple[str, ...]
    """A category belongs to the first family one of whose keywords it contains."""
    noun: str
    """What a title calls it."""
    preposition: Preposition
    """The word between the noun and the target."""
    tactic: str
    """The ATT&CK tactic it serves most probably."""
    slow: bool = False
    """Whether it goes on for hours with long pauses."""


_C2 = "command-and-control"
_EXPLOITS = ("vulnerability", "web", "injection", "traversal", "xss", "exploit", "log4", "shellshock")

# fmt: off
FAMILIES = (
    Family("signature", ("signature",), "Signature match", "against", "initial-access"),
    Family("mining", ("mining",), "Mining", "for", "impact", slow=True),
    Family("bot", ("bot",), "Bot", "for", _C2, slow=True),
    Family("poisoning", ("poison", "rogue_dhcp"), "Poisoning", "of", "credential-access", slow=True),
    Family("reverse_shell", ("reverse_shell",), "Reverse shell", "to", _C2, slow=True),
    Family("indicator", ("indicator",), "Traffic of a known threat", "to", _C2, slow=True),
    Family("brute_force", ("brute", "spray", "login", "password"), "Password guessing", "against", "credential-access"),
    Family("ticket_theft", ("kerberoast", "roasting", "pass_the_hash"), "Ticket theft", "against", "credential-access"),
    Family("tunnel", ("tunnel",), "Tunnel", "to", _C2, slow=True),
    Family("dga", ("generated_domain", "dga"), "Generated domains", "to", _C2, slow=True),
    Family("beacon", ("beacon", "command_and_control", "c2", "periodic"), "Beacon", "to", _C2, slow=True),
    Family("exfiltration", ("exfil", "transfer", "upload"), "Data theft", "to", "exfiltration", slow=True),
    Family("lateral_movement", ("lateral", "admin_share", "remote_"), "Lateral movement", "to", "lateral-movement"),
    Family("collection", ("collection",), "Collection", "from", "collection"),
    Family("flood", ("flood", "amplification", "denial"), "Flood", "against", "impact"),
    Family("web_attack", _EXPLOITS, "Web attack", "against", "initial-access"),
    Family("scan", ("scan", "sweep"), "Port scan", "of", "discovery"),
    Family("malware_download", ("download", "malware", "executable", "file"), "Suspicious download", "from", _C2),
    Family("new_service", ("new_service",), "New service", "on", "persistence", slow=True),
    Family("rare_protocol", ("rare", "port", "protocol"), "Unusual protocol or port", "to", _C2, slow=True),
    Family("weak_encryption", ("cleartext", "tls", "certificate", "cipher"), "Weak or odd encryption", "to", _C2),
    Family("anomaly", ("anomal", "outlier", "rhythm"), "Anomalous traffic", "to", _C2),
)
# fmt: on
OTHER = Family("other", (), "Suspicious activity", "to", "discovery")
ACRONYMS = {"c2", "dns", "ftp", "http", "icmp", "ip", "ntp", "quic", "rdp", "smb", "smtp", "sql", "ssh", "syn", "tcp"}
ACRONYMS |= {"arp", "dhcp", "irc", "tls", "udp", "vnc", "xss"}


@lru_cache(maxsize=1024)
def family(category: str) -> Family:
    """Find the family of a category; OTHER if none is meant."""
    plain = normal(category)
    return next((each for each in FAMILIES if any(word in plain for word in each.keywords)), OTHER)


NOUNS = {
    "asrep_roasting": "AS-REP roasting",
    "admin_share": "Use of an admin share",
    "indicator_match": "Traffic of a known threat",
    "generated_domains": "Generated domains",
    "hostile_by_model": "Traffic like that of attacks",
    "cleartext_executable": "Program sent in the clear",
    "rare_protocol_port": "Protocol on an unusual port",
    "self_signed_certificate": "Self-signed certificate",
}
"""What a title calls categories that do not make good titles themselves."""


PREPOSITIONS: dict[str, Preposition] = {
    "dns_tunnel": "through",
    "remote_exploitation": "of",
    "remote_backdoor_probe": "of",
}
"""Words for single categories; the target of a DNS tunnel is a resolver that only passes it on."""


def preposition(category: str) -> Preposition:
    """Return the word between noun and target."""
    return PREPOSITIONS.get(normal(category), family(category).preposition)


@lru_cache(maxsize=1024)
def noun(category: str) -> str:
    """Say in plain words what a category is, such as 'SSH brute force'."""
    known, words = family(category), normal(category).split("_")
    if normal(category) in NOUNS:
        return NOUNS[normal(category)]
    if len(words) < 2:
        return known.noun
    text = " ".join(word.upper() if word in ACRONYMS else word for word in words)
    return text[:1].upper() + text[1:]


def normal(category: str) -> str:
    """Reduce a category to lower-case words joined by underscores, at most 64 characters."""
    return re.sub(r"[^a-z0-9]+", "_", category[:64].lower()).strip("_")
