"""Classes of rules: how urgent the alerts of each are, for rules beside which no classification.config lies.

Names and priorities are those in the configuration that comes with Suricata (Snort's before, see "Default
Classifications" in its manual) and in Emerging Threats; the descriptions are the names in words.
"""

from __future__ import annotations

CLASSES: dict[int, str] = {
    1: """
        attempted-admin attempted-user command-and-control credential-theft domain-c2 exploit-kit inappropriate-content
        policy-violation shellcode-detect successful-admin successful-user targeted-activity trojan-activity
        unsuccessful-user web-application-attack
    """,
    2: """
        attempted-dos attempted-recon bad-unknown coin-mining default-login-attempt denial-of-service external-ip-check
        misc-attack non-standard-protocol pup-activity rpc-portmap-decode social-engineering successful-dos
        successful-recon-largescale successful-recon-limited suspicious-filename-detect suspicious-login
        system-call-detect unusual-client-port-connection web-application-activity
    """,
    3: "icmp-event misc-activity network-scan not-suspicious protocol-command-decode string-detect unknown",
    4: "tcp-connection",
}
"""Names of classes by their priority; 1 is the most urgent."""


def classification_config() -> str:
    """Return the classes as a classification.config."""
    classes = ((name, priority) for priority, names in CLASSES.items() for name in names.split())
    return "".join(f"config classification: {name},{described(name)},{priority}\n" for name, priority in classes)


def described(name: str) -> str:
    """Return a class in words."""
    return name.replace("-", " ").capitalize()
