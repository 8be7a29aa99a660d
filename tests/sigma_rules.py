"""Sigma rules for tests, as documents."""

from __future__ import annotations

DISCARD = """\
title: Discard service is used
id: discard-used
tags: [attack.t1095]
logsource: {category: firewall}
detection:
    selection: {dst_port: 9}
    condition: selection
level: high
"""
"""Finds the one flow of the capture that tests share."""
PROCESS = """\
title: A process begins
name: process
logsource: {category: process_creation, product: windows}
detection:
    selection: {Image: a.exe}
    condition: selection
"""
"""Sees nothing in network traffic."""
BROKEN = """\
title: Nobody knows the modifier
logsource: {category: firewall}
detection:
    selection: {dst_port|nope: 9}
    condition: selection
"""
"""Is refused."""
MANY = """\
title: Many
name: many
correlation:
    type: event_count
    rules: [discard-used]
    group-by: [src_ip]
    timespan: 1m
    condition: {gte: 3}
"""
"""Counts what DISCARD finds."""


def documents(*texts: str) -> str:
    """Return a file with several rules."""
    return "---\n".join(texts)
