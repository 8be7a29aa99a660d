"""`infraspectre integrations`: the systems and people that a platform tells what happens, and trials of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from infraspectre.cli.grammar import Group
from infraspectre.cli.options import DEFAULT, Common
from infraspectre.cli.output import note, print_json, print_table
from infraspectre.errors import EXIT_DONE, EXIT_FAILED, InputError, UsageError
from infraspectre.records.delivery import Format, Program

if TYPE_CHECKING:
    from infraspectre.client import Client

WEBHOOK = "wh_"
"""How the identities of webhooks begin; the names of integrations hold no such sign."""
COLUMNS = ("name", "kind", "url", "state", "taken", "delivered", "retrying", "dead", "problem")


class ServerOptions(NamedTuple):
    """Says which platform is asked, and as whom.

    Parameters
    ----------
    url
        Where the API answers.
    key_file
        Read the key from the first line of this file instead of the variable INFRASPECTRE_KEY.
    authority
        Trust the certificates of this authority (PEM).
    """

    url: str = "http://127.0.0.1:8440"
    key_file: Path | None = None
    authority: Path | None = None


HERE = ServerOptions()


def show(*, server: ServerOptions = HERE, common: Common = DEFAULT) -> None:
    """List who is told what happens, and how far each has come: webhooks, systems and people."""
    with asked(server) as client:
        rows = listed(client)
    if common.json:
        print_json(rows)
    elif not common.quiet:
        from infraspectre.security import printable

        print_table(COLUMNS, [[printable(str(row[name])) for name in COLUMNS] for row in rows])


def test(name: str, /, *, server: ServerOptions = HERE, common: Common = DEFAULT) -> int:
    """Send an event that says that it is a test, now and once, and tell what the receiver answered.

    It goes the way of all events: the same address, secret, format and checks. It ends with status 1 where the
    receiver did not take it.

    Parameters
    ----------
    name
        Name of an integration, or identity of a webhook (wh_...).
    """
    with asked(server) as client:
        trial = client.test_webhook(name) if name.startswith(WEBHOOK) else client.test_integration(name)
    if common.json:
        print_json({"name": name, "delivered": trial.delivered, "problem": trial.problem})
    elif not common.quiet:
        from infraspectre.security import printable

        note(f"{name} took it" if trial.delivered else printable(f"{name} did not take it: {trial.problem}"))
    return EXIT_DONE if trial.delivered else EXIT_FAILED


def sample(kind: Program, /, *, form: Annotated[Format | None, "--format"] = None, common: Common = DEFAULT) -> None:
    """Print what an incident and a detection become for a kind of receiver, byte for byte; nothing is sent.

    It is the body of a request, and for QRadar and syslog what goes over the connection: so a parser can be tried
    before any platform runs. With --json it comes as a text within an object.

    Parameters
    ----------
    kind
        What reads it.
    form
        Format of the events; by default the one that the platform knows best. Webhooks have one of their own.
    """
    from infraspectre.api.routes.integrations import FORMATS
    from infraspectre.serving.samples import sample_of

    if kind == "webhook" and form:
        raise UsageError("webhooks have one format", remedy="leave --format out")
    chosen = form or ("json" if kind == "webhook" else FORMATS[kind])
    made = sample_of(kind, chosen)
    if common.json:
        print_json({"kind": kind, "format": chosen, "text": made.decode()})
    elif not common.quiet:
        sys.stdout.buffer.write(made)
        sys.stdout.buffer.flush()


@contextmanager
def asked(server: ServerOptions) -> Iterator[Client]:
    """Ask a platform; raises UsageError without a key, and InputError for one that does not answer."""
    import httpx

    try:
        with client_of(server) as client:
            yield client
    except httpx.HTTPError as error:
        remedy = "check --url, and --authority for a server with a certificate of one's own"
        raise InputError(f"does not answer: {error}", field=server.url, remedy=remedy) from error


def client_of(server: ServerOptions) -> Client:
    """Return a client with the key that is given."""
    from infraspectre.cli.watch import key_of
    from infraspectre.client import Client

    key = key_of(server.key_file)
    try:
        return Client(server.url, key, verify=str(server.authority) if server.authority else True)
    except OSError as error:  # an error of TLS is one, too
        raise InputError("holds no certificates", path=server.authority) from error


def listed(client: Client) -> list[dict[str, Any]]:
    """Return all receivers, those that are told over a webhook first."""
    from infraspectre.client import pages

    webhooks = [(each.webhook_id, "webhook", each) for each in pages(client.list_webhooks)]
    others = [(each.name, each.kind, each) for each in pages(client.list_integrations)]
    return [row_of(name, kind, each) for name, kind, each in [*webhooks, *others]]


def row_of(name: str, kind: str, receiver: Any) -> dict[str, Any]:
    """Return what is shown of a receiver."""
    counted = {each: getattr(receiver.standing, each) for each in COLUMNS[3:]}
    return {"name": name, "kind": kind, "url": receiver.url, **counted}


integrations = Group(
    "List the systems and people that a platform tells what happens, and send them a test.",
    {"list": show, "test": test, "sample": sample},
)
