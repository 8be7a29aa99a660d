"""`infraspectre serve`: the platform."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from infraspectre.cli.options import DEFAULT, Common
from infraspectre.cli.output import note
from infraspectre.errors import EXIT_DONE, EXIT_FAILED

if TYPE_CHECKING:
    from infraspectre.records.access import Role
    from infraspectre.settings import Settings

DEMO_USER = "demo"


def serve(*, data: Path | None = None, port: int | None = None, demo: bool = False, common: Common = DEFAULT) -> int:
    """Run the platform: API, event log, detection and store, until it is told to stop.

    SIGTERM stops it in order: nothing more comes in, and what came is worked off and saved. SIGHUP starts its processes
    anew with the settings as they are now. With --json, one line says where it can be reached.

    Parameters
    ----------
    data
        Keep everything in this folder instead of the one of the settings.
    port
        Let the API listen at this port instead of the one of the settings; 0 lets the system choose one.
    demo
        Show a simulated office: a day that ends now, and what happens then. It is for this machine alone, has a user
        of its own, and all of it is removed at the end unless --data names a folder.
    """
    from infraspectre.serving.logs import configure
    from infraspectre.serving.supervisor import Supervisor

    configure("supervisor")
    if demo:
        return serve_demo(data, port, common)
    supervisor = Supervisor(lambda: settings(common, data, port), lambda urls: tell(urls, common))
    return EXIT_DONE if supervisor.run() else EXIT_FAILED


def settings(common: Common, data: Path | None, port: int | None) -> Settings:
    """Return the settings in force."""
    from msgspec.structs import replace

    from infraspectre.app import load_settings

    found = load_settings(common.config)
    if data is not None:
        found = replace(found, data=replace(found.data, folder=str(data.absolute())))
    return found if port is None else replace(found, server=replace(found.server, port=port))


def serve_demo(data: Path | None, port: int | None, common: Common) -> int:
    """Run a platform with a simulated office, and a user who sees all of it."""
    from infraspectre.app import load_settings
    from infraspectre.serving.demo import ANALYST, analyst_password, demo_settings, keep_models_apart
    from infraspectre.serving.supervisor import Supervisor

    with folder_of(data) as folder:
        chosen = demo_settings(load_settings(common.config), folder, port or 0)
        keep_models_apart(chosen)
        password = secrets.token_urlsafe(12)
        add_user(chosen, DEMO_USER, "administrator", password)
        add_user(chosen, ANALYST, "analyst", analyst_password(chosen))
        supervisor = Supervisor(lambda: chosen, lambda urls: tell_demo(urls, password, common), with_guests=True)
        return EXIT_DONE if supervisor.run() else EXIT_FAILED


@contextmanager
def folder_of(data: Path | None) -> Iterator[Path]:
    """Yield the folder that was chosen, or one that is removed in the end."""
    from tempfile import TemporaryDirectory

    if data is not None:
        yield data.absolute()
        return
    with TemporaryDirectory(prefix="infraspectre-demo-") as folder:
        yield Path(folder)


def add_user(chosen: Settings, name: str, role: Role, password: str) -> None:
    """Add a user, or give one of an earlier demonstration a new password."""
    from infraspectre.api.access.passwords import Passwords
    from infraspectre.serving.accounts import open_accounts

    hashed = Passwords(chosen.access.password_kib).hash(password)
    with open_accounts(None, "default", chosen) as accounts:
        if name in {each.name for each in accounts.all()}:
            accounts.change(name, password=hashed)
        else:
            accounts.add(name, role, hashed)


def tell(urls: dict[str, str], common: Common) -> None:
    """Say where the platform can be reached."""
    if common.json:
        import msgspec

        print(msgspec.json.encode({"url": urls["api"], "urls": urls}).decode(), flush=True)
    elif not common.quiet:
        note(f"the API answers at {urls['api']}")


def tell_demo(urls: dict[str, str], password: str, common: Common) -> None:
    """Say where the demonstration can be reached, and who may log in."""
    if common.json:
        import msgspec

        told = {"url": urls["api"], "urls": urls, "user": DEMO_USER, "password": password}
        print(msgspec.json.encode(told).decode(), flush=True)
    else:
        note(f"a simulated office is at {urls['api']}: log in as {DEMO_USER} with the password {password}")
