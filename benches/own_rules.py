"""Own rules: flows a second that many of them take; YARA rules: how many of public sets are used, and how fast."""

from __future__ import annotations

import io
import random
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benches.captures import diverse, test_data
from benches.report import Figure, Report
from benches.signature_speed import unpacked
from infraspectre.adapters.yara import YaraScanner, load_yara
from infraspectre.app import flows
from infraspectre.own_rules import fields
from infraspectre.records import FlowBatch
from infraspectre.soma import Soma
from infraspectre.soma.rules import OwnRules, load_rules

CONDITIONS = (
    "resp_port == {0} and not inside(resp_ip)",
    'http_uris contains "/evil{0}/"',
    'dns_queries endswith ".bad{0}.example"',
    "tls_server_name matches '^x{0}[a-z]+[.]example$'",
    "resp_ip in [198.51.{0}.0/24, 2001:db8:{0}::/48]",
    "orig_payload_bytes > {0}GB and duration_ms > 5m",
)
"""Kinds of conditions, in turn; few flows fulfil any, as it is with rules that are worth having."""
HEAD = "title: t, severity: low"
WINDOW = "window: {by: orig_ip, within: 5m, distinct: {resp_port: 100}}"
SEQUENCE = "sequence: {within: 10m, by: orig_ip, steps: [resp_port == 53, resp_port == 80, resp_port == 443]}"
UNSUPPORTED = "androguard"
"""A module of YARA that YARA-X does not have."""
INCLUDE = "include"
PAYLOADS = {"100 kB of HTML": b"<p>nothing to see</p>\n" * 4_546, "1 MB of noise": random.Random(4).randbytes(10**6)}
PACKETS = 300_000
SECONDS = 2.0


def measure() -> Report:
    """Measure own rules on the flows of real captures, and YARA on public sets of rules."""
    batches = list(flows(diverse(PACKETS)))
    speeds = [
        Figure(f"flows under {name}", rate(f"rules: [{rules}]", batches), "/CPU-s")
        for name, rules in {
            "1 condition": conditions(1),
            "100 conditions": conditions(100),
            "1,000 conditions": conditions(1_000),
            "a window over every flow": f"{{{HEAD}, id: a, when: known(resp_port), {WINDOW}}}",
            "a sequence": f"{{{HEAD}, id: a, {SEQUENCE}}}",
        }.items()
    ]
    notes = [f"{sum(map(len, batches)):,} flows of diverse real captures; only the detector is measured."]
    with TemporaryDirectory(prefix="infraspectre-bench-") as folder:
        for archive in sorted((test_data().parent / "intel" / "rules_yara").glob("*.tar.zst")):
            with tarfile.open(fileobj=io.BytesIO(unpacked(archive))) as packed:
                packed.extractall(Path(folder, archive.name), filter="data")
        return Report([*speeds, *yara_figures(Path(folder))], notes=notes)


def conditions(count: int) -> str:
    """Write so many rules, each with one condition."""
    texts = (CONDITIONS[n % len(CONDITIONS)].format(n % 200 + 1) for n in range(count))
    return ", ".join(f'{{{HEAD}, id: r{n}, when: "{escaped(text)}"}}' for n, text in enumerate(texts))


def escaped(text: str) -> str:
    """Write a text as it stands in double quotation marks in YAML."""
    return text.replace("\\", "\\\\").replace('"', '\\"')


def rate(rules: str, batches: list[FlowBatch]) -> float:
    """Return the flows that rules judge in a second of processor time."""
    with TemporaryDirectory(prefix="infraspectre-bench-") as folder:
        path = Path(folder, "rules.yaml")
        path.write_text(rules)
        soma = Soma([OwnRules(load_rules([path], fields()))])
    started = time.process_time()
    for batch in batches:
        soma.detect(batch)
    soma.finish()
    return sum(map(len, batches)) / (time.process_time() - started)


def yara_figures(folder: Path) -> Iterator[Figure]:
    """Yield how many YARA rules are used, what reading them takes, and how fast payloads are scanned with all."""
    started = time.process_time()
    rules = load_yara([folder])
    took = time.process_time() - started
    others = [each for each in rules.refused if not each.reason.startswith(INCLUDE) and UNSUPPORTED not in each.reason]
    known = len(rules.names) + len(others)
    share = f"{len(rules.names):,} of {known:,} ({len(rules.names) / known:.2%})"
    yield Figure("YARA rules used, of those without modules that YARA-X lacks", share, "", "99%", "100%")
    yield Figure("reading them, CPU time", took, "s")
    for name, content in PAYLOADS.items():
        scanner = YaraScanner(rules)
        yield Figure(f"scans with them of {name}", scan_rate(scanner, content), "/CPU-s")


def scan_rate(scanner: YaraScanner, content: bytes) -> float:
    """Return how often a content is scanned in a second of processor time."""
    started, scans = time.process_time(), 0
    while time.process_time() - started < SECONDS:
        scanner.matches("/index.html", content)
        scans += 1
    return scans / (time.process_time() - started)
