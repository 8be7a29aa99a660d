from __future__ import annotations

import pytest

from infraspectre.intel.attack import attack_table
from infraspectre.intel.families import FAMILIES, OTHER, family, noun


@pytest.mark.parametrize(
    ("category", "name"),
    [
        ("port_scan", "scan"),
        ("Host-Sweep", "scan"),
        ("ssh_brute_force", "brute_force"),
        ("password_spray", "brute_force"),
        ("syn_flood", "flood"),
        ("beacon", "beacon"),
        ("dns_tunnel", "tunnel"),
        ("suspicious_transfer", "exfiltration"),
        ("exfiltration", "exfiltration"),
        ("share_collection", "collection"),
        ("lateral_movement", "lateral_movement"),
        ("rare_port", "rare_protocol"),
        ("web_attack", "web_attack"),
        ("file_download", "malware_download"),
        ("cleartext_executable", "malware_download"),
        ("self_signed_certificate", "weak_encryption"),
        ("anomaly", "anomaly"),
        ("never heard of", "other"),
    ],
)
def test_categories_find_their_family(category: str, name: str) -> None:
    assert family(category).name == name


def test_nouns_are_plain_words() -> None:
    assert noun("ssh_brute_force") == "SSH brute force"
    assert noun("scan") == "Port scan"
    assert noun("<script>alert(1)</script>") == "Script alert 1 script"
    assert noun("") == OTHER.noun


def test_every_family_serves_a_tactic_that_exists() -> None:
    assert {each.tactic for each in FAMILIES} <= set(attack_table().tactics)
