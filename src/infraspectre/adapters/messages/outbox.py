"""The outbox of messages: one message for all events that are handed over at once, and none for what people know."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence

from infraspectre.adapters.messages.digest import Digest, Memory, digest_of
from infraspectre.adapters.messages.templates import MessageTemplate
from infraspectre.errors import InputError
from infraspectre.records.delivery import Failure, Outgoing, Receipt

Deliver = Callable[[Digest, str, str], Failure | None]
"""Brings a digest, its text and its identity to people; returns why that was not possible."""


class Messages:
    """Tells people of events."""

    def __init__(self, deliver: Deliver, template: str = "") -> None:
        """Write messages by a template, the default one for an empty text; raises InputError for a wrong one."""
        self._deliver, self._template, self._memory = deliver, MessageTemplate(template), Memory()

    def send(self, events: Sequence[Outgoing]) -> Receipt:
        """Hand over events."""
        news = self._memory.news(events)
        failure = self._told(news) if news else None
        if failure:
            return Receipt(0, {}, failure)
        self._memory.keep(news)
        return Receipt(len(events))

    def _told(self, news: Sequence[Outgoing]) -> Failure | None:
        digest = digest_of(news)
        try:
            text = self._template.text(digest)
        except InputError as error:
            return Failure(f"cannot be written: {error.message}")
        return self._deliver(digest, text, identity_of(news))


def identity_of(news: Sequence[Outgoing]) -> str:
    """Return the identity of a message, the same for every try to send it."""
    return uuid.uuid5(uuid.NAMESPACE_URL, " ".join([each.key for each in news])).hex
