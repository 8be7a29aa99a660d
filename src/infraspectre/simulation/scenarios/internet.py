"""The internet of a simulated day: the sites that people visit, and what those bring along."""

from __future__ import annotations

import random
import string
from itertools import accumulate

_FIRST = (
    "blue", "green", "north", "river", "city", "daily", "open", "smart", "bright", "home", "world", "sun", "stone",
    "silver", "golden", "quick", "true", "next", "first", "alpine", "coast", "urban", "prime", "lake", "cloud", "west",
)  # fmt: skip
_SECOND = (
    "market", "news", "travel", "garden", "bank", "books", "sports", "kitchen", "works", "media", "health", "weather",
    "forum", "music", "tools", "academy", "motors", "design", "trade", "post", "tickets", "jobs", "games", "maps",
)  # fmt: skip
_ENDINGS = ("com", "com", "com", "com", "net", "org", "io", "co", "info", "app")
_CONTENT_NETWORKS = (
    "cloudfront.net", "akamaiedge.net", "azureedge.net", "fastly.net", "edgekey.net", "cdn77.org", "llnwd.net",
)  # fmt: skip
_THIRD_PARTIES = (
    "fonts.webtype.net", "www.tagcounter.com", "pixel.adreach.net", "static.socialbar.com", "cdn.scriptshelf.org",
    "api.consent-box.io", "sync.adreach.net", "stats.pagemeter.com", "img.adcanvas.net", "js.chatbubble.io",
)  # fmt: skip
"""What many pages load besides their own."""
_CLOUDS = ("content.boxdrive.com", "content.boxdrive.com", "upload.skyfolder.net", "sync.filenest.io")
_DEVICE_HOSTS = ("iot", "mqtt", "device", "cloud", "p2p")
_SECURITY_VENDORS = ("", "avts.shieldware.com", "cloud.sentrylab.net", "fp.trustscan.org")
POPULAR, FAVOURITES = 300, 12
"""Sites that a whole site knows, and those that one person returns to."""


class Internet:
    """Holds the sites that people of one company visit; few are visited often, most by hardly anybody."""

    def __init__(self, rng: random.Random) -> None:
        """Coin the names of sites and of hosts of content networks."""
        self._popular = [coined(rng) for _ in range(POPULAR)]
        self._weights = list(accumulate(1.0 / rank for rank in range(1, POPULAR + 1)))
        self.makers = [f"{rng.choice(_DEVICE_HOSTS)}.{coined(rng).removeprefix('www.')}" for _ in range(6)]
        """Hosts that devices call."""
        self.security_vendor = rng.choice(_SECURITY_VENDORS)
        """Domain whose names a virus scanner asks for; empty if none does."""
        self._content = [content_host(rng) for _ in range(POPULAR // 4)]

    def page(self, rng: random.Random) -> str:
        """Draw a site, the popular ones more often (Zipf's law), now and then one that nobody visited before."""
        if rng.random() < 0.04:
            return coined(rng)
        return rng.choices(self._popular, cum_weights=self._weights)[0]

    def cloud(self, rng: random.Random) -> str:
        """Draw a cloud that keeps files; a few keep nearly all."""
        return rng.choice(_CLOUDS)

    def companions(self, rng: random.Random) -> list[str]:
        """Draw the hosts from which a page loads the rest of itself."""
        third = rng.sample(_THIRD_PARTIES, rng.choice((0, 0, 1, 2)))
        return third + rng.sample(self._content, rng.choice((0, 0, 1)))


def coined(rng: random.Random) -> str:
    """Coin the name of a web site."""
    number = str(rng.randrange(1, 365)) if rng.random() < 0.15 else ""
    host = rng.choice(("www.", "www.", "www.", "", "m.", "shop.", "app."))
    return f"{host}{rng.choice(_FIRST)}{rng.choice(('', '', '-'))}{rng.choice(_SECOND)}{number}.{rng.choice(_ENDINGS)}"


def content_host(rng: random.Random) -> str:
    """Coin the name of a host in a content network, drawn at random or made of what it stands for, and often long."""
    token = "".join(rng.choices(string.ascii_lowercase + string.digits, k=rng.randrange(9, 22)))
    network = rng.choice(_CONTENT_NETWORKS)
    return rng.choice(
        (
            f"{rng.choice('deaxs')}{token}.{network}",
            f"e{rng.randrange(10**4, 10**6)}.dsc{rng.choice('abdgx')}.{network}",
            f"r{rng.randrange(1, 9)}---sn-{token[:12]}.{network}",
            f"{token}-{rng.randrange(10**8, 10**10)}.eu-central-1.elb.{network}",
            f"{rng.choice(_FIRST)}-{rng.choice(_SECOND)}-prod-{token}.z{rng.randrange(9)}.web.core.{network}",
        )
    )
