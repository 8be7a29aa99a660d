"""A Kafka broker of a test's own, from the jars in INFRASPECTRE_TEST_KAFKA, which `make kafka` fetches."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

START_S = 60
SETTINGS = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{broker}
controller.listener.names=CONTROLLER
log.dirs={folder}/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
"""


@contextmanager
def running_broker(folder: Path) -> Iterator[str]:
    """Give the address of a broker that ends with the block; skips the test where there is none to start."""
    jars = os.environ.get("INFRASPECTRE_TEST_KAFKA")
    java = shutil.which("java")
    if not jars or not java:
        pytest.skip("INFRASPECTRE_TEST_KAFKA names no folder with Kafka's jars (`make kafka`), or Java is missing")
    broker, controller = free_ports()
    settings = folder / "server.properties"
    settings.write_text(SETTINGS.format(folder=folder, broker=broker, controller=controller))
    command = [java, "-Xmx384m", f"-Dkafka.logs.dir={folder}", "-cp", f"{jars}/*"]
    formatting = ["kafka.tools.StorageTool", "format", "-t", "aW5mcmFzcGVjdHJlMDAwMQ", "-c", str(settings)]
    subprocess.run([*command, *formatting], check=True, capture_output=True, timeout=START_S)
    with (folder / "out").open("wb") as out:
        server = subprocess.Popen([*command, "kafka.Kafka", str(settings)], stdout=out, stderr=out)
    try:
        wait_for(broker, server)
        yield f"127.0.0.1:{broker}"
    finally:
        server.kill()
        server.wait()


def free_ports() -> tuple[int, int]:
    """Two ports that nobody has: the system chooses them."""
    with socket.socket() as one, socket.socket() as two:
        for each in (one, two):
            each.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]


def wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError("the broker did not start")
