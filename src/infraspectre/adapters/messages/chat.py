"""Chat: messages to a channel of Slack or Microsoft Teams, over the address that each gives for that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import msgspec

from infraspectre.adapters.messages.digest import Digest
from infraspectre.adapters.posts import Answer, post
from infraspectre.records.delivery import Failure

HEADERS = {"content-type": "application/json", "user-agent": "InfraSpectre"}
SLACK_HEADER, SLACK_SECTION = 150, 3_000
"""Signs of a text object of each kind (Block Kit reference)."""
SLACK_SIGNS = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
"""What Slack reads as links and mentions ("Formatting text for app surfaces", escaping text)."""
TEAMS_COLOURS = {"critical": "Attention", "high": "Attention", "medium": "Warning"}


class Room:
    """Posts messages to a channel."""

    def __init__(
        self, client: httpx.Client, url: str, secret: str, message: Callable[[Digest, str], dict[str, Any]]
    ) -> None:
        """Post to an address, of which all behind the host is secret."""
        self._client, self._url, self._message = client, url.rstrip("/") + secret, message

    def __call__(self, digest: Digest, text: str, key: str) -> Failure | None:
        """Post a message, and return why it was not taken."""
        answer = post(self._client, self._url, HEADERS, msgspec.json.encode(self._message(digest, text)))
        if isinstance(answer, Answer):
            return None if answer.is_success else answer.failure
        return answer


def slack(digest: Digest, text: str) -> dict[str, Any]:
    """Return a message to an incoming webhook; its texts are plain: nothing in them is a link, mention or format."""
    parts = [text[begin : begin + SLACK_SECTION] for begin in range(0, len(text), SLACK_SECTION)]
    blocks = [
        {"type": "header", "text": plain(digest.subject[:SLACK_HEADER])},
        *({"type": "section", "text": plain(part)} for part in parts if part.strip()),
    ]
    return {"text": digest.subject.translate(SLACK_SIGNS), "mrkdwn": False, "blocks": blocks}


def plain(text: str) -> dict[str, Any]:
    """Return a text that Slack shows as it is."""
    return {"type": "plain_text", "text": text, "emoji": False}


def teams(digest: Digest, text: str) -> dict[str, Any]:
    """Return a message to a workflow: a card of text runs, in which Teams reads no Markdown."""
    colour = TEAMS_COLOURS.get(digest.entries[0].severity, "Default")
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [
            runs([{"type": "TextRun", "text": digest.subject, "weight": "Bolder", "color": colour}]),
            *(runs([{"type": "TextRun", "text": line}]) for line in text.splitlines() if line.strip()),
        ],
    }
    attached = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attached]}


def runs(inlines: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a paragraph of a card."""
    return {"type": "RichTextBlock", "inlines": inlines}
