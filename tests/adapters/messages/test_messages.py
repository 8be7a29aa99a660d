from __future__ import annotations

import ssl
from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infraspectre.adapters.messages.chat import Room, slack, teams
from infraspectre.adapters.messages.digest import MOST_ENTRIES, MOST_VALUE, digest_of
from infraspectre.adapters.messages.mail import Mail
from infraspectre.adapters.messages.outbox import Messages
from infraspectre.adapters.messages.templates import MOST_BODY, MOST_TEMPLATE, SAMPLE, MessageTemplate
from infraspectre.adapters.outgoing import outgoing_client
from infraspectre.errors import InputError
from infraspectre.records.delivery import Destination, Failure, Outgoing, Receipt
from infraspectre.records.feed import FeedEvent
from infraspectre.security import printable
from log_fakes import SetClock
from mail_server import MailServer, mail_server
from receivers import LOOPBACK, Reply, receiver, self_signed

CLIENT = outgoing_client(LOOPBACK, ("http",))
INJECTIONS = [
    "<!channel> <@U1> <https://evil.example|click>", "*bold* _it_ ~no~ `code`", "[click](https://evil.example)",
    "<script>alert(1)</script>", "x\r\nBcc: all@example.org\r\n\r\nbody", "{{ 7 * 7 }} {% raw %}", "\u202egnp.exe",
    "\0\x1b[2J", "# head\n- list", "a\n.\r\nQUIT\r\n", "&amp;&lt;", "</pre><b>",
]  # fmt: skip


def event(number: int = 0, severity: Any = "high", kind: str = "incident.raised", **data: Any) -> Outgoing:
    told = FeedEvent(
        "default", "threat", kind, "2026-01-01T00:00:00Z", f"i-{number}", severity, ["10.0.0.5"],
        data=msgspec.Raw(msgspec.json.encode({"title": f"Incident {number}"} | data)),
    )  # fmt: skip
    return Outgoing(f"evt_a_{number}_{kind}_{severity}", told, "")


def mail_to(port: int, scheme: str = "smtp", **options: str) -> Destination:
    told = {"sender": "infraspectre@example.org", "recipients": "soc@example.org, ciso@example.org"} | options
    return Destination(key="x", kind="email", name="x", url=f"{scheme}://127.0.0.1:{port}", created_at=0, options=told)


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Those of a server and of who trusts it."""
    certificate, key = self_signed(tmp_path_factory.mktemp("tls"))
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(certificate, key)
    return served, ssl.create_default_context(cafile=str(certificate))


@pytest.fixture
def inbox(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> Iterator[MailServer]:
    with mail_server(MailServer(contexts[0])) as server:
        yield server


def read(data: bytes) -> EmailMessage:
    found = message_from_bytes(data, policy=default)
    assert isinstance(found, EmailMessage)
    return found


def texts(value: Any) -> Iterator[dict[str, Any]]:
    """Yield all objects within a value that hold a text."""
    if isinstance(value, dict):
        if isinstance(value.get("text"), str):
            yield value
        for each in value.values():
            yield from texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts(each)


def test_many_events_are_one_message_the_gravest_first() -> None:
    events = [event(number, "medium") for number in range(30)] + [event(99, "critical", evidence={"summary": "worst"})]
    with receiver() as there:
        messages = Messages(Room(CLIENT, there.url, "/services/T/B/s3cret", slack))
        assert messages.send(events) == Receipt(31)
    [request] = there.requests
    assert request.path == "/services/T/B/s3cret"
    told = msgspec.json.decode(request.body)
    assert told["blocks"][0]["text"]["text"] == "[critical] Incident 99 and 30 more"
    body = "".join(each["text"]["text"] for each in told["blocks"][1:])
    assert body.startswith("CRITICAL: Incident 99\nworst")
    assert f"and {31 - MOST_ENTRIES} more" in body


def test_a_campaign_is_one_entry_and_an_incident_that_grew_is_one_too() -> None:
    campaign = [event(number, campaign_id="c-1") for number in range(5)]
    digest = digest_of([*campaign, event(7), event(7, "critical", "incident.updated")])
    assert [(each.severity, each.incidents) for each in digest.entries] == [("critical", 1), ("high", 5)]


def test_people_are_told_again_only_of_what_grew_worse() -> None:
    with receiver() as there:
        messages = Messages(Room(CLIENT, there.url, "", teams))
        for severity, kind in (("high", "raised"), ("high", "updated"), ("critical", "updated"), ("high", "updated")):
            assert messages.send([event(1, severity, f"incident.{kind}")]) == Receipt(1)
    assert len(there.requests) == 2


def test_what_was_not_taken_is_told_again() -> None:
    replies = [Reply(503), Reply(400), Reply(429, headers={"retry-after": "7"}), Reply()]
    with receiver(lambda _: replies.pop(0)) as there:
        messages = Messages(Room(CLIENT, there.url, "", slack))
        failures = [messages.send([event(1), event(2)]).failure for _ in range(3)]
        assert messages.send([event(1), event(2)]) == Receipt(2)
    assert [each.retry_after_s if each else None for each in failures] == [0.0, 0.0, 7.0]


@pytest.mark.parametrize("text", INJECTIONS)
def test_chat_shows_values_and_reads_nothing_in_them(text: str) -> None:
    digest = digest_of([event(1, title=text, explanation={"summary": text})])
    body = MessageTemplate().text(digest)
    assert printable(text) in body
    in_slack, in_teams = slack(digest, body), teams(digest, body)
    assert "<" not in in_slack["text"]
    assert in_slack["mrkdwn"] is False
    shown = [each for each in texts(in_slack["blocks"]) if each.get("type") in ("plain_text", "mrkdwn")]
    assert {(each["type"], each["emoji"]) for each in shown} == {("plain_text", False)}
    assert all({each["type"] for each in block["inlines"]} == {"TextRun"} for block in card(in_teams)["body"])
    for message in (in_slack["blocks"], card(in_teams)):
        assert any(printable(text) in each["text"] for each in texts(message))


def card(message: dict[str, Any]) -> dict[str, Any]:
    content = message["attachments"][0]["content"]
    assert isinstance(content, dict)
    return content


class Page(HTMLParser):
    """Reads which tags and which text a page has."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_mail_is_sent_over_tls_alone_and_no_value_adds_a_header_or_a_tag(
    inbox: MailServer, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    mail = Mail(mail_to(inbox.port, user="someone"), "s3cret", SetClock(), LOOPBACK, contexts[1])
    messages = Messages(mail)
    for number, text in enumerate(INJECTIONS):
        assert messages.send([event(number, title=text, explanation={"summary": text})]) == Receipt(1)
    plain = read(inbox.messages[0])
    assert inbox.recipients[:2] == ["soc@example.org", "ciso@example.org"]
    assert inbox.passwords[0] == b"\0someone\0s3cret"
    assert all(line.split(b" ")[0].strip() in (b"ehlo", b"STARTTLS") for line in inbox.in_clear)
    tags = Page()
    tags.feed(plain.get_body(("html",)).get_content())  # type: ignore[union-attr]
    for text, data in zip(INJECTIONS, inbox.messages, strict=True):
        message = read(data)
        assert message.keys() == plain.keys()
        assert message["to"] == "soc@example.org, ciso@example.org"
        assert message["subject"] == f"[high] {printable(text)}"
        page = Page()
        for part in ("plain", "html"):
            content = message.get_body((part,)).get_content()  # type: ignore[union-attr]
            page.feed(content if part == "html" else "")
            assert part == "html" or printable(text) in content
        assert page.tags == tags.tags
        assert printable(text) in "".join(page.words)


def test_mail_within_tls_from_the_start(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    with mail_server(MailServer(contexts[0], is_tls=True)) as server:
        mail = Messages(Mail(mail_to(server.port, "smtps"), "", SetClock(), LOOPBACK, contexts[1]))
        assert mail.send([event()]) == Receipt(1)
    assert server.in_clear == []
    assert len(server.messages) == 1


def test_nothing_is_said_to_a_server_without_tls_or_with_a_strange_certificate(
    inbox: MailServer, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    stranger = Messages(Mail(mail_to(inbox.port), "s3cret", SetClock(), LOOPBACK))
    assert stranger.send([event()]).failure == Failure(
        "did not take the message: its certificate is not trusted: self-signed certificate"
    )
    inbox.offers_tls = False
    bare = Messages(Mail(mail_to(inbox.port), "s3cret", SetClock(), LOOPBACK, contexts[1]))
    assert bare.send([event()]).failure == Failure("did not take the message: SMTPNotSupportedError")
    assert (inbox.messages, inbox.passwords) == ([], [])
    guarded = Messages(Mail(mail_to(inbox.port), "", SetClock(), (), contexts[1])).send([event()]).failure
    assert guarded is not None
    assert "not public" in guarded.problem


def test_mail_that_is_refused_is_a_failure_with_its_status_and_goes_under_the_same_identity_again(
    inbox: MailServer, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    mail = Messages(Mail(mail_to(inbox.port), "", SetClock(), LOOPBACK, contexts[1]))
    inbox.status = 452
    assert mail.send([event()]).failure == Failure("answered with status 452")
    inbox.status = 250
    assert mail.send([event()]) == Receipt(1)
    first, second = map(read, inbox.messages)
    assert first["message-id"] == second["message-id"]
    inbox.refused = ("soc@example.org", "ciso@example.org")
    assert mail.send([event(2)]).failure == Failure("did not take the message: SMTPRecipientsRefused")


@pytest.mark.parametrize(
    "options", [{"sender": ""}, {"sender": "a@b\r\nBcc: c@d"}, {"recipients": "a@b, c"}, {"recipients": "a@b," * 30}]
)
def test_addresses_that_are_none_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(InputError, match="no plain address"):
        Mail(mail_to(1, **options), "", SetClock())


HOSTILE = st.text(st.one_of(st.sampled_from("\r\n<>&*_`[]()|:.@\0\u202e\u2028{}%"), st.characters()), max_size=80)


@given(HOSTILE)
@settings(max_examples=150, deadline=None)
def test_subjects_and_texts_have_no_signs_that_do_not_print(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    digest = digest_of([event(1, title=text or "x", evidence={"summary": text})])
    assert printable(digest.subject) == digest.subject
    assert all(printable(line) == line for line in MessageTemplate().text(digest).split("\n"))


def test_a_template_says_what_people_want_to_read() -> None:
    template = MessageTemplate(
        "{% for each in entries %}{{ each.title }} by {{ each.hosts | first }}\n{% endfor %}{{ more }}"
    )
    assert template.text(SAMPLE) == "title by 10.0.0.1\n1"


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{{ 1 | round(9999, 'floor') }}", "cannot be filled"),
        ("{{ 1.5 | round(9999) }}", "0 to 6 digits"),
        ("{{ 'ab' | join('cd') | join('cd') }}", "takes a list"),
        ("{{ " + "1" * 5_000 + " }}", "number"),
        ("{% if more %}" * 110 + "x" + "{% endif %}" * 110, "nested"),
    ],
)
def test_a_template_that_would_not_end_or_not_compile_is_refused(template: str, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        MessageTemplate(template)
    assert caught.value.field == "template"


def test_numbers_are_rounded_to_few_digits() -> None:
    assert MessageTemplate("{% for each in entries %}{{ each.score | round(1) }}{% endfor %}").text(SAMPLE) == "90.0"


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{{", "unexpected"),
        ("\n{{ range(9) }}", "call"),
        ("{{ 'x' * 999 }}", "mul"),
        ("{% include 'x' %}", "include"),
        ("{% import 'x' as y %}", "import"),
        ("{% macro x() %}{% endmacro %}", "macro"),
        ("{% set x = 1 %}", "assign"),
        ("{{ entries[0] }}", "getitem"),
        ("{{ entries | center(99) }}", "filter center"),
        ("{{ entries | join | join | join | join }}", "3 filters"),
        ("{% for a in entries %}" * 3 + "{% endfor %}" * 3, "2 loops"),
        ("{% for a in entries %}" * 150 + "{% endfor %}" * 150, "2 loops"),
        ("{% for a in 'xxx' %}{% endfor %}", "no list"),
        ("{{ '" + "x" * 101 + "' }}", "100 signs"),
        ("{{ " + "(" * 4_000 + "1" + ")" * 4_000 + " }}", "nested"),
        ("x" * (MOST_TEMPLATE + 1), "8,192 signs"),
        ("{{ entries.nothing.other }}", "nothing"),
    ],
)
def test_a_template_that_could_do_harm_is_refused(template: str, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        MessageTemplate(template)
    assert caught.value.field == "template"


@pytest.mark.parametrize("text", ["{{ ''.__class__.__mro__ }}", "{{ entries.append }}", "{{ more.__init__ }}"])
def test_a_template_reaches_nothing_but_the_message(text: str) -> None:
    try:
        written = MessageTemplate(text).text(SAMPLE)
    except InputError:
        return
    assert "class" not in written


def test_a_message_is_of_bounded_length() -> None:
    filled = digest_of([event(number, title="x" * 9_999, evidence={"summary": "y" * 9_999}) for number in range(50)])
    assert all(len(each.title) <= MOST_VALUE for each in filled.entries)
    template = MessageTemplate(
        "{% for a in entries %}{% for b in a.title %}" + "z" * 7_000 + "{% endfor %}{% endfor %}"
    )
    assert len(template.text(filled)) <= MOST_BODY + 4
    body = MessageTemplate().text(filled)
    assert len(msgspec.json.encode(teams(filled, body))) < 28 << 10
    assert all(len(each["text"]) <= 3_000 for each in texts(slack(filled, body)["blocks"]))


def test_a_digest_of_one_event_names_no_others() -> None:
    assert digest_of([event()]).subject == "[high] Incident 0"
