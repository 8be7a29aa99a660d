"""Fuzzes the API by its own description: `python -m benches.api_fuzz EXAMPLES` sends so many requests of each kind."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import schemathesis
from hypothesis import HealthCheck, Phase
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from infraspectre.adapters.log.local import LocalLog
from infraspectre.adapters.record_store import open_sqlite
from infraspectre.adapters.system_clock import SystemClock
from infraspectre.api.app import make_app
from infraspectre.api.routes.keys import new_key
from infraspectre.records.access import DEFAULT_TENANT
from infraspectre.records.collections import KEYS
from infraspectre.serving.platform import Platform
from infraspectre.settings import AccessSettings, Settings

FREE = AccessSettings(password_kib=32, requests_per_s=1e6, logins_per_minute=1e4, failures_per_minute=1e6)
"""No rate is a limit, and passwords cost little."""
STATE_FORBIDS = ["412", "422"]
"""A revision that is not the one, a key that was used for another body: sound requests that the state forbids."""


@schemathesis.serializer("application/x-ndjson")
def lines(_: Any, value: Any) -> bytes:
    """Write objects on a line each; what is no list becomes a line that is no object."""
    if isinstance(value, bytes):
        return value
    return b"\n".join(json.dumps(each).encode() for each in (value if isinstance(value, list) else [[value]]))


def described(platform: Platform) -> Any:
    """Return the description of an application, to be called as an administrator."""
    import msgspec

    key, record = new_key(DEFAULT_TENANT, "fuzz", "administrator", platform.clock.now(), 0)
    platform.records.put(DEFAULT_TENANT, KEYS, key.id, msgspec.to_builtins(record))
    schema: Any = schemathesis.openapi.from_asgi("/api/v1/openapi.json", make_app(platform))
    schema = schema.exclude(path="/api/v1/stream")  # its answer has no end
    schema.config.checks.positive_data_acceptance.expected_statuses += STATE_FORBIDS

    @schema.auth()
    class Bearer:
        def get(self, case: Any, context: Any) -> str:
            return f"Bearer {key}"

        def set(self, case: Any, data: str, context: Any) -> None:
            case.headers["authorization"] = data

    return schema


def fuzz(operation: Any, examples: int, seed: int | None = None) -> int:
    """Send requests that the description allows, and as many that it does not; raises where an answer is wrong."""
    sent = 0
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

        def check(case: Any) -> None:
            nonlocal sent
            sent += 1
            case.call_and_validate()

        test: Callable[..., None] = hypothesis.given(case=operation.as_strategy(generation_mode=mode))(check)
        if seed is not None:
            test = hypothesis.seed(seed)(test)
        try:
            hypothesis.settings(
                max_examples=examples,
                deadline=None,
                database=None,
                derandomize=seed is None,
                suppress_health_check=list(HealthCheck),
                phases=[Phase.generate],
            )(test)()
        except Unsatisfiable:  # an operation that takes nothing can be sent nothing wrong
            continue
    return sent


def main() -> None:
    """Fuzz each operation on a new store."""
    examples = int(sys.argv[1])
    clock, failures = SystemClock(), 0
    with tempfile.TemporaryDirectory() as folder:
        records = open_sqlite(Path(folder) / "records.db", clock)
        platform = Platform(records, None, LocalLog(Path(folder) / "log", clock), Settings(access=FREE))  # type: ignore[arg-type]
        for result in described(platform).get_all_operations():
            operation, began, sent = result.ok(), time.monotonic(), 0
            try:
                sent = fuzz(operation, examples, seed=1)
                verdict = "sound"
            except BaseExceptionGroup as error:
                failures, verdict = failures + 1, f"FAILED {error}"
            print(f"{operation.label}: {sent} requests in {time.monotonic() - began:.1f} s: {verdict}", flush=True)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
