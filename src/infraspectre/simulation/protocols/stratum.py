"""Stratum: what miners and their pools say, lines of JSON-RPC."""

from __future__ import annotations

import json
import random
from typing import Any


def _line(**message: Any) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def login(rng: random.Random) -> bytes:
    """Log in as miners of Monero do (XMRig)."""
    wallet = "4" + rng.randbytes(47).hex()
    parameters = {"login": wallet, "pass": "x", "agent": "XMRig/6.21.0 (Linux x86_64)", "algo": ["rx/0", "cn/r"]}
    return _line(id=1, jsonrpc="2.0", method="login", params=parameters)


def _work(rng: random.Random) -> dict[str, Any]:
    return {
        "blob": "1010" + rng.randbytes(74).hex(), "job_id": rng.randbytes(7).hex(), "target": "b88d0600",
        "height": rng.randrange(3_000_000, 3_400_000), "seed_hash": rng.randbytes(32).hex(), "algo": "rx/0",
    }  # fmt: skip


def welcome(rng: random.Random) -> bytes:
    """Accept a miner and give it its first work."""
    result = {"id": rng.randbytes(8).hex(), "job": _work(rng), "status": "OK"}
    return _line(id=1, jsonrpc="2.0", error=None, result=result)


def job(rng: random.Random) -> bytes:
    """Give new work."""
    return _line(jsonrpc="2.0", method="job", params=_work(rng))


def submit(rng: random.Random, number: int) -> bytes:
    """Hand in a result."""
    found = {"id": rng.randbytes(8).hex(), "job_id": rng.randbytes(7).hex(), "nonce": rng.randbytes(4).hex()}
    return _line(id=number, jsonrpc="2.0", method="submit", params=found | {"result": rng.randbytes(32).hex()})


def accepted(number: int) -> bytes:
    """Accept a result."""
    return _line(id=number, jsonrpc="2.0", error=None, result={"status": "OK"})
