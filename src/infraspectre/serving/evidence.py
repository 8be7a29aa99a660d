"""Evidence: the packets behind incidents, asked for by people or once an incident is grave, and kept for a while."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

import msgspec
from msgspec.structs import replace

from infraspectre.adapters.evidence_files import FOLDER, EvidenceFiles
from infraspectre.errors import InfraSpectreError, InputError
from infraspectre.ports import Stored, every
from infraspectre.records.collections import EVIDENCE, INCIDENTS
from infraspectre.records.detection import SEVERITIES
from infraspectre.records.evidence import EvidenceRecord, evidence_of
from infraspectre.records.feed import FEED_TOPIC
from infraspectre.records.times import NANOSECONDS, UNITS
from infraspectre.serving.jobs import Job, LeasedJobs
from infraspectre.serving.journal import read_over_gaps
from infraspectre.serving.opening import store_folder
from infraspectre.serving.platform import Platform
from infraspectre.serving.upkeep import Task

COLLECTING = "evidence"
"""The kind of job that collects packets."""
CONSUMER = "evidence"
PLATFORM = "platform"
"""Who asks where nobody does."""
READ_AT_ONCE = 1_000
UNFINISHED_NS = UNITS["h"]
"""A file that no record names is removed once it is so old."""


class Evidence:
    """Asks for the packets behind incidents of a tenant, and gives out those that there are."""

    def __init__(self, platform: Platform, tenant: str) -> None:
        """Look after the incidents of a tenant."""
        self._platform, self._tenant = platform, tenant
        self._jobs = LeasedJobs(platform.records, platform.clock)

    def ask(self, incident_id: str, by: str, key: str = "") -> EvidenceRecord:
        """Have packets collected, unless that is under way; raises OverloadError where too many jobs wait."""
        known, key = self.known(incident_id), key or secrets.token_hex(16)
        if known.state == "waiting" or self._job(key) is not None:
            return known
        asked = replace(known, state="waiting", asked_by=by, asked_at=self._platform.clock.now(), job_id=key)
        self.put(incident_id, asked)
        try:
            self._jobs.enqueue(self._tenant, COLLECTING, {"incident_id": incident_id}, by, key)
        except InfraSpectreError:
            self.put(incident_id, known)
            raise
        return asked

    def known(self, incident_id: str) -> EvidenceRecord:
        """Return what there is; a job that ended without a word has failed."""
        record = self._kept(incident_id)
        if record.state != "waiting" or (problem := self._failure(record.job_id)) is None:
            return record
        record = self._kept(incident_id)  # it may have been told meanwhile
        return replace(record, state="failed", reasons=[problem]) if record.state == "waiting" else record

    def put(self, incident_id: str, record: EvidenceRecord) -> None:
        """Write down what there is."""
        self._platform.records.put(self._tenant, EVIDENCE, incident_id, msgspec.to_builtins(record))

    def parts(self, record: EvidenceRecord) -> Iterator[bytes]:
        """Return the packets as a pcapng file in parts; raises InputError where there are none, or others than were."""
        if not record.file:
            raise InputError("there are no packets", field="evidence", remedy="ask for them first")
        return files_of(self._platform).read(self._tenant, record.file, record.sha256)

    def _kept(self, incident_id: str) -> EvidenceRecord:
        stored = self._platform.records.get(self._tenant, EVIDENCE, incident_id)
        return evidence_of(stored.body) if stored else EvidenceRecord()

    def _failure(self, key: str) -> str | None:
        """Return why a job came to nothing, None for one that is not over."""
        job = self._job(key)
        if job is None:
            return "its job is gone"
        return job.problem or f"the job is {job.state}" if job.is_over else None

    def _job(self, key: str) -> Job | None:
        try:
            return self._jobs.get(self._tenant, key)
        except InputError:
            return None


def files_of(platform: Platform) -> EvidenceFiles:
    """Return where packets lie."""
    return EvidenceFiles(store_folder(platform.settings) / FOLDER)


class Told(msgspec.Struct, frozen=True):
    """Is what is read of an event of the feed."""

    tenant: str
    kind: str
    subject: str = ""
    severity: str = "informational"


class Vigil:
    """Asks for the packets behind incidents once they are grave, where sensors have any."""

    def __init__(self, platform: Platform, has_packets: Callable[[str], object]) -> None:
        """Follow the feed from where it was followed to; `has_packets` tells whether a tenant has such sensors."""
        self._platform, self._has_packets = platform, has_packets
        self._topic = platform.log.topic(FEED_TOPIC)
        level = platform.settings.evidence.level
        self._grave = SEVERITIES[SEVERITIES.index(level) :] if level != "never" else ()
        place = platform.log.cursor(CONSUMER, FEED_TOPIC)
        self._place = self._topic.end if place is None else min(place, self._topic.end)

    def step(self) -> None:
        """Ask about the incidents that were told since the last step; raises InfraSpectreError."""
        while self._place < self._topic.end:
            entries, end = read_over_gaps(self._topic, max(self._place, self._topic.begin), READ_AT_ONCE)
            for entry in entries:
                self._look_at(msgspec.json.decode(entry.data, type=Told))
            self._place = end
            self._platform.log.move(CONSUMER, FEED_TOPIC, end)

    def _look_at(self, told: Told) -> None:
        """Ask once for each level that an incident reaches."""
        is_grave = told.kind in ("incident.raised", "incident.updated") and told.severity in self._grave
        if is_grave and self._has_packets(told.tenant):
            key = f"{COLLECTING}-{told.severity}-{told.subject}"
            Evidence(self._platform, told.tenant).ask(told.subject, PLATFORM, key)


def evidence_tasks(platform: Platform) -> dict[str, Task]:
    """Return what is to be done about packets: they go when their time is over, and with their incidents."""

    def tidy() -> None:
        files, now = files_of(platform), platform.clock.now()
        for tenant in {*platform.records.tenants(EVIDENCE), *files.tenants()}:
            kept = set()
            for row in list(every(platform.records, tenant, EVIDENCE)):
                if _is_over(platform, tenant, row, now):
                    platform.records.delete(tenant, EVIDENCE, row.key, row.revision)
                else:
                    kept.add(evidence_of(row.body).file)
            for name in files.names(tenant, (now - UNFINISHED_NS) / NANOSECONDS):
                if name not in kept:
                    files.remove(tenant, name)

    return {"evidence": tidy}


def _is_over(platform: Platform, tenant: str, row: Stored, now: int) -> bool:
    record = evidence_of(row.body)
    return 0 < record.expires_at <= now or platform.records.get(tenant, INCIDENTS, row.key) is None
