"""Calls every operation as every role of every tenant: `python -m benches.api_matrix CALLS [SECONDS]` looks for leaks.

What a tenant has holds marks that no other tenant's text has: users, keys, incidents, verdicts, detections, flows,
jobs, models, assets, views, sensors, events of the feed. Each answer is searched for marks of the others, each
refusal is compared with what the description of the API says of the operation, and what is asked for by name is
mostly another tenant's.
"""

from __future__ import annotations

import itertools
import os
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec
import polars as pl
from litestar.testing import TestClient

from benches.api_fuzz import FREE
from infraspectre import analyze
from infraspectre.adapters.column_store import ParquetTables
from infraspectre.adapters.log.local import LocalLog
from infraspectre.adapters.record_store import open_sqlite
from infraspectre.adapters.results import detection_of
from infraspectre.adapters.system_clock import SystemClock
from infraspectre.api.access.credentials import Credential
from infraspectre.api.app import described, make_app
from infraspectre.api.frame import Api
from infraspectre.api.openapi import operations
from infraspectre.api.routes.keys import new_key
from infraspectre.modelbook import register
from infraspectre.modelbook.opening import BUILTIN_FOLDER
from infraspectre.records.access import PERMISSIONS, ROLES, Principal, Role, UserRecord
from infraspectre.records.collections import (
    ASSETS,
    INCIDENTS,
    KEYS,
    SAVED_VIEWS,
    SENSORS,
    USERS,
    VERDICTS,
    incident_record,
)
from infraspectre.records.delivery import Destination, Kind
from infraspectre.records.evidence import EvidenceRecord
from infraspectre.records.feed import FEED_TOPIC, FeedEvent
from infraspectre.records.response import step_id
from infraspectre.records.tables import detection_frame
from infraspectre.records.times import rfc3339
from infraspectre.serving.destinations import Destinations
from infraspectre.serving.evidence import Evidence, files_of
from infraspectre.serving.intelligence import keep
from infraspectre.serving.jobs import LeasedJobs
from infraspectre.serving.platform import Platform
from infraspectre.serving.scoring import registered_as
from infraspectre.serving.triage import Triage
from infraspectre.settings import Settings

TENANTS = ("default", "red", "blue")
SEED = 1
SAMPLE = Path(__file__).parents[1] / "examples" / "sample.pcap.gz"
MOST_S = 300.0
"""No more calls are made after so many seconds, unless the command says another number."""
ECHO = re.compile(r'"(target|instance)":"[^"]*"')
"""What callers asked for themselves is told them again: it is no leak."""
REFUSALS = (400, 403, 404, 406, 409, 412, 422)
"""What may be answered to whoever asks by name for what is another's."""
FORMATS = {"export_incidents": ("csv", "json"), "report_incident": ("html",)}
"""Text that can be searched."""
OTHERS = {"change_many", "score_otherwise", "predict", "explain_prediction", "give_feedback"}
"""Operations whose bodies name what somebody has."""
DAY = 86_400 * 10**9
INTELLIGENCE = """{"objects": [
    {"type": "indicator", "id": "indicator--TENANT", "pattern": "[domain-name:value = 'mark-TENANT-host.example']"},
    {"type": "report", "id": "report--mark-TENANT", "name": "mark-TENANT-title", "object_refs": ["indicator--TENANT"]}
]}"""
RULE = "rules: [{id: a-rule, title: A rule, severity: low, when: resp_port == 53}]"


class Caller(NamedTuple):
    """Is somebody who calls."""

    tenant: str
    role: Role
    key: Credential
    step: str
    """A step of the plan of its incident."""


class Call(NamedTuple):
    """Is one call: its operation, its path and body, and whose names are in them."""

    operation: str
    method: str
    place: str
    permission: str | None
    body: Any
    owner: Caller | None


def marked(platform: Platform, found: Path) -> list[Caller]:
    """Give each tenant some of all that there is, with marks, and return who calls."""
    callers = []
    for tenant, role in itertools.product(TENANTS, ROLES):
        now = platform.clock.now()
        user = UserRecord(f"mark-{tenant}-{role}", "viewer", "", now)
        platform.records.put(tenant, USERS, user.name, msgspec.to_builtins(user))
        key, record = new_key(tenant, f"mark-{tenant}-{role}", role, now, 0)
        platform.records.put(tenant, KEYS, key.id, msgspec.to_builtins(record))
        first = objects(found / "incidents.jsonl")[0]["response_plan"]["steps"][0]
        step = step_id(f"mark-{tenant}-incident", first["title"], first["kind"], first.get("target", ""))
        callers.append(Caller(tenant, role, key, step))
    for number, tenant in enumerate(TENANTS):
        give(platform, found, tenant, number)
    return callers


def give(platform: Platform, found: Path, tenant: str, number: int) -> None:
    """Give a tenant what the analysis of a capture found, all of it with its marks."""
    now = platform.clock.now()
    incidents, detections = (objects(found / f"{name}.jsonl") for name in ("incidents", "detections"))
    detections = [each | {"detection_id": f"mark-{tenant}-{each['detection_id']}"} for each in detections]
    for incident in incidents[:3]:
        known = [each | {"detection_id": f"mark-{tenant}-{each['detection_id']}"} for each in incident["detections"]]
        named = {each["detection_id"] for each in known}
        told = incident | {"title": f"mark-{tenant}-title", "detections": known, "last_seen": rfc3339(now)}
        own = [each for each in detections if each["detection_id"] in named]
        key = f"mark-{tenant}-{incident['incident_id']}" if incident is not incidents[0] else f"mark-{tenant}-incident"
        record = incident_record(told | {"incident_id": key}) | {"detections": own}
        platform.records.put(tenant, INCIDENTS, key, record)
    rows = pl.read_parquet(found / "flows.parquet").head(200)
    moved = now - DAY // 2 - int(rows["started_at"].max())  # type: ignore[arg-type]
    rows = rows.with_columns(
        pl.col("started_at", "ended_at") + moved,
        tls_server_name=pl.lit(f"mark-{tenant}-host"),
        flow_id=pl.int_range(pl.len(), dtype=pl.UInt64) + 1_000 * (number + 1),
        resp_ip=pl.when(pl.int_range(pl.len()) < 20).then(pl.lit(own_address(tenant))).otherwise("resp_ip"),
    )
    platform.tables.append(tenant, "flows", rows, "one")
    frame = detection_frame(map(detection_of, detections[:50])).with_columns(at=now - DAY // 2)
    platform.tables.append(tenant, "detections", frame, "one")
    analyst = Principal(tenant, f"mark-{tenant}-analyst", "analyst")
    Triage(platform, analyst).judge(f"mark-{tenant}-incident", "unsure", f"mark-{tenant}-comment")
    with files_of(platform).new(tenant, 1 << 10) as file:
        file.write(f"mark-{tenant}-packets".encode())
        kept = EvidenceRecord("partial", sha256=file.finish(), file=file.name, reasons=[f"mark-{tenant}-reason"])
    Evidence(platform, tenant).put(f"mark-{tenant}-incident", kept)
    verdict = {"incident_id": f"mark-{tenant}-incident", "verdict": "unsure", "comment": "", "by": "", "at": now}
    platform.records.put(tenant, VERDICTS, f"mark-{tenant}-verdict", verdict)
    jobs = LeasedJobs(platform.records, platform.clock)
    jobs.enqueue(tenant, "none", {}, f"mark-{tenant}-owner", f"mark-{tenant}-job")
    register(BUILTIN_FOLDER / "dga", registered_as(tenant, f"mark-{tenant}-model"), "production", rfc3339(now))
    known_to(platform, tenant)
    receivers, kinds = Destinations(platform, tenant), dict[str, Kind](webhook="webhook")
    for name, kind in (kinds | dict.fromkeys(ROLES, "splunk")).items():
        key, url = f"mark-{tenant}-{name}", f"https://mark-{tenant}-host/"
        receivers.add(Destination(key=key, kind=kind, name=key, url=url, created_at=now), f"mark-{tenant}-secret")
    feed = INTELLIGENCE.replace("TENANT", tenant).encode()
    keep(platform, tenant, f"mark-{tenant}-engineer", f"mark-{tenant}-feed", feed)
    event = FeedEvent(tenant, "custom", "custom", rfc3339(now), f"mark-{tenant}-subject")
    platform.log.topic(FEED_TOPIC).append([msgspec.json.encode(event)] * 5).result()


def known_to(platform: Platform, tenant: str) -> None:
    """Give a tenant an asset, a view, and sensors that are called as its users are."""
    mark, address = f"mark-{tenant}", own_address(tenant)
    platform.records.put(tenant, ASSETS, address, {"network": address, "name": f"{mark}-asset"})
    view = {"owner": f"{mark}-owner", "name": f"{mark}-view", "page": "hosts", "shared": True, "readers": ["*"]}
    whole = view | {"question": {"filters": []}, "created_at": platform.clock.now()}
    platform.records.put(tenant, SAVED_VIEWS, f"{mark}-view", whole)
    for role in ROLES:
        sensor = {"name": f"{mark}-{role}", "state": "connected", "seen_at": platform.clock.now(), "sensor": {}}
        platform.records.put(tenant, SENSORS, f"{mark}-{role}", sensor)


def own_address(tenant: str) -> str:
    """Return an address that one tenant alone has seen."""
    return f"198.51.100.{TENANTS.index(tenant) + 1}"


def objects(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a file."""
    return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]


def calls(document: dict[str, Any], callers: list[Caller], draw: random.Random) -> Iterator[tuple[Caller, Call]]:
    """Yield calls without an end."""
    known = list(operations(document))
    while True:
        caller, owner = draw.choice(callers), draw.choice(callers)
        path, method, described = draw.choice(known)
        operation = described["operationId"]
        place = filled(path, owner) + question(operation, draw)
        is_named = "{" in path or operation in OTHERS
        call = Call(operation, method.upper(), place, described.get("x-permission"), body_of(operation, owner),
                    owner if is_named else None)  # fmt: skip
        if method != "delete" or owner.tenant != caller.tenant:  # nobody who still has to call is removed
            yield caller, call


def filled(path: str, owner: Caller) -> str:
    """Return a path with the names of what somebody has."""
    mark = f"mark-{owner.tenant}"
    names = {
        "key_id": owner.key.id,
        "name": f"{mark}-{owner.role}",
        "incident_id": f"{mark}-incident",
        "verdict_id": f"{mark}-verdict",
        "job_id": f"{mark}-job",
        "flow_id": str(1_000 * (TENANTS.index(owner.tenant) + 1)),
        "detection_id": f"{mark}-none",
        "webhook_id": f"{mark}-webhook",
        "address": own_address(owner.tenant),
        "asset_id": own_address(owner.tenant),
        "view_id": f"{mark}-view",
        "step_id": owner.step,
        "rule_id": f"{mark}-none",
        "value": f"{mark}-host.example",
        "report_id": f"report--{mark}",
    }
    if "/imports/" in path:
        names["name"] = f"{mark}-feed"
    if "/models/" in path:
        is_whole = path.endswith(("/versions", "/stage"))
        names["name"] = f"{mark}-model" if is_whole else f"registry:{mark}-model"
    return re.sub(r"\{(\w+)\}", lambda part: names[part[1]], path)


def question(operation: str, draw: random.Random) -> str:
    """Return the query of a call: the stream, which has no end, is asked for what it does not have."""
    if operation == "follow_feed":
        return "?channel=none"
    if operation in FORMATS:
        return f"?format={draw.choice(FORMATS[operation])}"
    return "?hours=48" if operation in ("show_dashboard", "show_drift") else ""


def body_of(operation: str, owner: Caller) -> Any:
    """Return a sound body of an operation that names what somebody has; an empty one for others."""
    mark = f"mark-{owner.tenant}"
    identities = [f"{mark}-incident"]
    rows = [{"domain": "xk2v9q0z8w7.com"}]
    flow = {"orig_ip": "10.0.0.1", "resp_ip": "192.0.2.1", "resp_port": 443, "protocol": "tcp",
            "started_at": 1_767_225_600_000_000_000, "ended_at": 1_767_225_601_000_000_000}  # fmt: skip
    bodies: dict[str, Any] = {
        "change_incident": {"assignee": "ada"},
        "give_verdict": {"verdict": "unsure"},
        "give_feedback": {"incident_id": identities[0], "verdict": "unsure"},
        "change_many": {"operation": "assign", "incident_ids": identities, "parameters": {"assignee": "ada"}},
        "score_otherwise": {"incident_ids": identities},
        "detect_in_flows": {"flows": [flow]},
        "analyze_behaviour": {"entity": "10.0.0.1"},
        "enrich": {"values": ["10.0.0.1", f"{mark}-host"]},
        "analyze_trends": {"granularity": "hour"},
        "model_future": {"granularity": "hour", "metrics": ["flows", "bytes", "detections"]},
        "retrain_model": {"name": "a-model"},
        "move_model": {"version": 1, "stage": "production"},
        "add_webhook": {"url": "https://192.0.2.1/"},
        "add_integration": {"name": "a-name", "platform": "splunk", "url": "https://192.0.2.1/", "secret": "a-token"},
        "switch_webhook": {"is_enabled": True},
        "switch_integration": {"is_enabled": True},
        "add_asset": {"network": "192.0.2.0/24", "name": "a-name"},
        "change_asset": {"name": "a-name"},
        "add_view": {"name": "a-name", "page": "hosts", "question": {"filters": ["value>=60"], "order": "-bytes"}},
        "decide_step": {"approve": True},
        "switch_rule": {"enabled": False},
        "try_rule": {"text": RULE},
        "import_indicators": {"name": "a-feed", "content": "203.0.113.9"},
        "predict": {"model": f"registry:{mark}-model", "row": rows[0]},
        "predict_batch": {"model": "builtin:dga", "rows": rows},
        "explain_prediction": {"model": f"registry:{mark}-model", "rows": rows},
    }
    return bodies.get(operation, {})


def leaks(text: str, tenant: str) -> bool:
    """Tell whether a text holds a mark of another tenant."""
    return any(re.search(rf"mark-{other}(?![a-z0-9])|isk_{other}_", text) for other in TENANTS if other != tenant)


def verdict(client: TestClient[Api], caller: Caller, call: Call) -> str:
    """Make a call, and say what is wrong with its answer; nothing if it is as it has to be."""
    answer = asked(client, caller, call)
    told = ECHO.sub("", without(answer.text, call))
    if leaks(told, caller.tenant):
        return f"leak: {told[:200]}"
    if answer.status_code >= 500:
        return f"server error {answer.status_code}"
    if call.permission and call.permission not in PERMISSIONS[caller.role]:
        return "" if answer.status_code == 403 else f"{answer.status_code} without the permission {call.permission}"
    is_strange = call.owner is not None and call.owner.tenant != caller.tenant and call.permission is not None
    is_many = call.operation in ("change_many", "score_otherwise")  # which say of each what became of it
    if is_strange and answer.status_code not in REFUSALS and not is_many:
        return f"{answer.status_code} for what is {call.owner.tenant}'s"  # type: ignore[union-attr]
    return ""


def asked(client: TestClient[Api], caller: Caller, call: Call) -> httpx.Response:
    """Make a call."""
    headers = {"authorization": f"Bearer {caller.key}", "if-match": '"999"'}
    body = None
    if call.method in ("POST", "PATCH", "PUT"):
        body = msgspec.json.encode(call.body)
        headers["content-type"] = "application/x-ndjson" if call.operation == "add_events" else "application/json"
    return client.request(call.method, call.place, headers=headers, content=body, follow_redirects=False)


def without(text: str, call: Call) -> str:
    """Return an answer without the names that the caller has sent."""
    sent = re.findall(
        r"(?:registry:)?mark-[a-z]+-(?:incident|model|host|job|none|webhook|view)", f"{call.place} {call.body}"
    )
    for name in (call.place, *sent):
        text = text.replace(name, "").replace(name.removeprefix("registry:"), "")
    return text


@contextmanager
def filled_platform(folder: Path) -> Iterator[tuple[Platform, list[Caller]]]:
    """Give a platform on real stores in which each tenant has something, and who calls."""
    os.environ["XDG_DATA_HOME"] = str(folder / "data")  # where the registry of models is
    analyze(SAMPLE, out=folder / "found")
    clock = SystemClock()
    records, tables = open_sqlite(folder / "records.db", clock), ParquetTables(folder / "tables", clock)
    log = LocalLog(folder / "log", clock)
    platform = Platform(records, tables, log, Settings(access=FREE), clock)
    yield platform, marked(platform, folder / "found")
    for part in (log, records, tables, platform.scoring):
        part.close()


def matrix(wanted: int, most_s: float, seed: int = SEED) -> tuple[int, Counter[str], Counter[str]]:
    """Make so many calls, or as many as there is time for; return how many, what is wrong, and what succeeded."""
    draw, wrong, good, made = random.Random(seed), Counter[str](), Counter[str](), 0
    with (
        tempfile.TemporaryDirectory() as folder,
        filled_platform(Path(folder)) as (platform, callers),
        TestClient(make_app(platform)) as client,
    ):
        deadline = time.monotonic() + most_s
        for caller, call in itertools.islice(calls(described(), callers, draw), wanted):
            if time.monotonic() > deadline:
                break
            made += 1
            if problem := verdict(client, caller, call):
                wrong[f"{call.method} {call.place} as {caller.role} of {caller.tenant}: {problem}"] += 1
            else:
                good[call.operation] += 1
    return made, wrong, good


def main() -> None:
    """Call, and count what is wrong."""
    most_s = float(sys.argv[2]) if len(sys.argv) > 2 else MOST_S
    made, wrong, good = matrix(int(sys.argv[1]), most_s)
    for problem, count in wrong.most_common(20):
        print(f"{count} x {problem}")
    print(f"{made:,} calls of {len(good)} operations, {sum(wrong.values())} wrong")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
