"""Destinations: the receivers of a tenant, registered, tried, replayed and removed."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence

import httpx
import msgspec

from infraspectre.adapters.messages.chat import Room, slack, teams
from infraspectre.adapters.messages.mail import Mail
from infraspectre.adapters.messages.outbox import Deliver, Messages
from infraspectre.adapters.messages.templates import MessageTemplate
from infraspectre.adapters.siem.senders import Elastic, Sentinel, Splunk, Syslog
from infraspectre.adapters.webhooks import Secret, Webhook
from infraspectre.errors import AccessError, ConfigError, ConflictError, InputError, OverloadError
from infraspectre.ports import Clock, Outbox, Stored
from infraspectre.records.collections import DEAD_LETTERS, INTEGRATIONS, PROGRESS, WEBHOOKS
from infraspectre.records.delivery import DeadLetter, Destination, Kind, Outgoing, Progress, Receipt, Retry, Told
from infraspectre.records.events import Position
from infraspectre.records.feed import FEED_TOPIC
from infraspectre.records.queries import Collection, Filter, Order, Query
from infraspectre.records.times import rfc3339
from infraspectre.security import target_of
from infraspectre.serving.outbox import MOST_RETRYING
from infraspectre.serving.platform import Platform
from infraspectre.serving.sealing import Seal

MOST_DESTINATIONS = 50
"""Webhooks of a tenant, and as many integrations."""
ATTEMPTS = 5
"""How often a change is tried anew after others' changes."""
COLLECTIONS = (WEBHOOKS, INTEGRATIONS)


def collection_of(kind: Kind) -> Collection:
    """Return where a kind of receiver is kept."""
    return WEBHOOKS if kind == "webhook" else INTEGRATIONS


def place_of(tenant: str, key: str) -> str:
    """Return where the secret of a receiver is sealed for."""
    return f"{tenant} {key}"


def destination_of(stored: Stored) -> Destination:
    """Return a stored receiver."""
    return msgspec.json.decode(stored.body, type=Destination)


def progress_of(stored: Stored) -> Progress:
    """Return how far a receiver has come."""
    return msgspec.json.decode(stored.body, type=Progress)


class Destinations:
    """Keeps the receivers of one tenant."""

    def __init__(self, platform: Platform, tenant: str) -> None:
        """Keep them among the records of a platform."""
        self._platform, self._tenant = platform, tenant
        self._records = platform.records

    def add(self, destination: Destination, secret: str) -> Destination:
        """Register a receiver of what happens from now on, its secret sealed; raises ConflictError and InputError."""
        if destination.is_for_people:
            check_messages(destination, secret, self._platform.clock)
        collection = collection_of(destination.kind)
        if self._records.count(self._tenant, collection, Query(), MOST_DESTINATIONS) >= MOST_DESTINATIONS:
            raise OverloadError(f"there are {MOST_DESTINATIONS} already", remedy="remove one")
        sealed = Seal(self._platform.token_key).close(secret, place_of(self._tenant, destination.key))
        kept = msgspec.structs.replace(destination, secret=sealed)
        topic = self._platform.log.topic(FEED_TOPIC)
        progress = Progress(str(Position(topic.epoch, topic.end)))
        if self._records.get(self._tenant, collection, kept.key) is not None:
            raise ConflictError("there is such a receiver already", field=kept.key)
        self._records.put(self._tenant, PROGRESS, kept.key, msgspec.to_builtins(progress))
        self._records.put(self._tenant, collection, kept.key, msgspec.to_builtins(kept), 0)
        return kept

    def find(self, collection: Collection, key: str) -> Destination:
        """Return a receiver; raises InputError where there is none."""
        stored = self._records.get(self._tenant, collection, key)
        if stored is None:
            raise InputError("there is no such receiver", field=key[:64])
        return destination_of(stored)

    def progress(self, key: str) -> Progress:
        """Return how far a receiver has come; raises InputError where there is none."""
        return progress_of(self._stored_progress(key))

    def remove(self, collection: Collection, key: str) -> bool:
        """Remove a receiver with all that is kept for it, and tell whether there was one."""
        if self._records.get(self._tenant, collection, key) is None:
            return False
        self._records.delete(self._tenant, PROGRESS, key)
        while rows := self._letters(key, 1_000):
            for row in rows:
                self._records.delete(self._tenant, DEAD_LETTERS, row.key)
        return self._records.delete(self._tenant, collection, key)

    def letters(self, key: str, limit: int) -> list[DeadLetter]:
        """Return the dead letters of a receiver, the newest first."""
        return [msgspec.json.decode(row.body, type=DeadLetter) for row in self._letters(key, limit)]

    def enable(self, key: str) -> Progress:
        """Send to a receiver again, at once, from where it stopped."""
        works = {"disabled": "", "failures": 0, "failing_since": 0, "due_at": 0}
        return self._changed(key, lambda progress: msgspec.structs.replace(progress, **works))

    def disable(self, key: str, reason: str) -> Progress:
        """Send nothing to a receiver until it is enabled; its events wait in the log."""
        return self._changed(key, lambda progress: msgspec.structs.replace(progress, disabled=reason))

    def replay(self, key: str, position: Position) -> Progress:
        """Send all events behind a place again; raises InputError for one that is not of what is kept of the feed."""
        topic = self._platform.log.topic(FEED_TOPIC)
        if position.epoch != topic.epoch or not topic.begin <= position.sequence <= topic.end:
            remedy = f"give one from {Position(topic.epoch, topic.begin)} to {Position(topic.epoch, topic.end)}"
            raise InputError("lies outside what is kept of the feed", field="after", remedy=remedy)
        place = str(position)
        return self._changed(key, lambda progress: msgspec.structs.replace(progress, position=place, due_at=0))

    def revive(self, key: str) -> Progress:
        """Send dead letters again, as many as may wait, the newest first."""
        letters = self.letters(key, MOST_RETRYING)
        revived: list[DeadLetter] = []

        def change(progress: Progress) -> Progress:
            known = {each.position for each in progress.retrying}
            room = MOST_RETRYING - len(progress.retrying)
            revived[:] = [each for each in letters if each.position not in known][:room]
            again = [Retry(each.position, 0, 0, each.problem) for each in revived]
            retrying = [*progress.retrying, *again]
            return msgspec.structs.replace(progress, dead=progress.dead - len(again), retrying=retrying, due_at=0)

        after = self._changed(key, change)
        for letter in revived:
            self._records.delete(self._tenant, DEAD_LETTERS, letter.key)
        return after

    def try_out(self, destination: Destination) -> Receipt:
        """Send an event that says that it is a test, now and once; raises ConfigError where nothing can be sent."""
        return outbox_of(self._platform, self._tenant, destination).send([self._test_event(destination)])

    def _test_event(self, destination: Destination) -> Outgoing:
        data = msgspec.Raw(msgspec.json.encode({"title": "A test of this receiver", "name": destination.name}))
        at = rfc3339(self._platform.clock.now())
        event = Told(self._tenant, "system", "receiver.test", at, destination.key, data=data)
        return Outgoing(f"test_{secrets.token_hex(12)}", event, msgspec.json.encode(event).decode())

    def _letters(self, key: str, limit: int) -> list[Stored]:
        asked = Query((Filter("destination", "=", (key,)),), Order("at", descending=True), limit=limit)
        return self._records.page(self._tenant, DEAD_LETTERS, asked).rows

    def _stored_progress(self, key: str) -> Stored:
        stored = self._records.get(self._tenant, PROGRESS, key)
        if stored is None:
            raise InputError("there is no such receiver", field=key[:64])
        return stored

    def _changed(self, key: str, change: Callable[[Progress], Progress]) -> Progress:
        """Change how far a receiver has come; tried anew after others' changes, since its sender is one of them."""
        for attempt in range(ATTEMPTS):
            stored = self._stored_progress(key)
            after = change(progress_of(stored))
            try:
                self._records.put(self._tenant, PROGRESS, key, msgspec.to_builtins(after), stored.revision)
            except ConflictError:
                if attempt == ATTEMPTS - 1:
                    raise
            else:
                return after
        raise AssertionError("unreachable")


def webhook_keys() -> Secret:
    """Return new keys for a webhook."""
    return Secret.new()


def outbox_of(platform: Platform, tenant: str, destination: Destination) -> Outbox:
    """Return what sends to a receiver; raises ConfigError where that cannot be."""
    client = platform.outgoing
    if client is None:
        raise ConfigError("this server sends nothing to others")
    secret = Seal(platform.token_key).open(destination.secret, place_of(tenant, destination.key))
    if destination.kind == "webhook":
        return Webhook(client, destination.url, Secret.of(secret), platform.clock)
    networks = platform.settings.access.outgoing_networks
    if destination.is_for_people:
        return messages_of(client, networks, destination, secret, platform.clock)
    return sender_of(client, networks, destination, secret)


def messages_of(
    client: httpx.Client, networks: Sequence[str], destination: Destination, secret: str, clock: Clock
) -> Messages:
    """Return what tells people; raises InputError for a template or an address of mail that is none."""
    match destination.kind:
        case "slack":
            deliver: Deliver = Room(client, destination.url, secret, slack)
        case "teams":
            deliver = Room(client, destination.url, secret, teams)
        case _:
            deliver = Mail(destination, secret, clock, networks)
    return Messages(deliver, destination.template)


def sender_of(
    client: httpx.Client, networks: Sequence[str], destination: Destination, secret: str
) -> Splunk | Elastic | Sentinel | Syslog:
    """Return what sends to another system."""
    match destination.kind:
        case "splunk":
            return Splunk(client, destination, secret)
        case "elastic":
            return Elastic(client, destination, secret)
        case "sentinel":
            return Sentinel(client, destination, secret)
        case _:
            return Syslog(destination, networks)


def check_messages(destination: Destination, secret: str, clock: Clock) -> None:
    """Refuse what no message can be written by or sent to; raises InputError."""
    MessageTemplate(destination.template)
    if destination.kind == "email":
        Mail(destination, secret, clock)
        return
    try:
        target_of(destination.url.rstrip("/") + secret)
    except AccessError as error:
        remedy = "give what follows the host in the address that you were given, from / on"
        raise InputError(error.problem, field="secret", remedy=remedy) from error


def all_destinations(platform: Platform) -> Iterator[tuple[str, Destination]]:
    """Yield all receivers of all tenants."""
    for collection in COLLECTIONS:
        for tenant in platform.records.tenants(collection):
            for row in platform.records.page(tenant, collection, Query(limit=MOST_DESTINATIONS)).rows:
                yield tenant, destination_of(row)
