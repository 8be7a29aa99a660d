"""Settings of automatic and approved actions."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Literal

import msgspec

from infraspectre.records import Level

RunnerName = Literal["blocklist", "nftables", "webhook"]


class WebhookSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sets which service is asked to act; its secret stands in INFRASPECTRE_WEBHOOK_SECRET."""

    url: str = ""
    """Address of the service; empty for none."""
    allow_http: bool = False
    """Whether it may be asked without encryption."""


class NftablesSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sets what becomes of rule sets for nftables."""

    load: bool = False
    """Whether rule sets are loaded once written."""
    command: str = "nft"


class ResponseSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sets how incidents are answered."""

    runners: tuple[RunnerName, ...] = ()
    """What carries out the actions that people approve on a platform; without any, each is a dry run."""
    lease_s: float = 3_600.0
    """How long an action lasts unless it is approved anew."""
    deadline_s: float = 30.0
    """How long carrying out an action may take."""
    most_targets: int = 16
    """Addresses that one command may act against."""
    automatic_from: Level | Literal[""] = ""
    """Level from which actions need no approval if the interval excludes that nobody attacked; empty for never."""
    protected: tuple[str, ...] = ()
    """Addresses and networks that are never acted against."""
    blocklist: str = ""
    """File of the blocklist; empty for blocklist.txt beside the results."""
    webhook: WebhookSettings = WebhookSettings()
    nftables: NftablesSettings = NftablesSettings()

    def __post_init__(self) -> None:
        """Refuse networks that are none and times that are none; raises ValueError."""
        for network in self.protected:
            ip_network(network, strict=False)
        if not (0 < self.lease_s <= 31 * 86_400 and 0 < self.deadline_s <= 600 and self.most_targets > 0):
            raise ValueError("a lease lasts up to 31 days, a deadline up to 600 s, and there is at least one target")
        if "webhook" in self.runners and not self.webhook.url:
            raise ValueError("the runner webhook needs webhook.url")
