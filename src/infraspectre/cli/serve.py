"""`infraspectre serve`: the platform."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from infraspectre.cli.options import DEFAULT, Common
from infraspectre.cli.output import note
from infraspectre.errors import EXIT_DONE, EXIT_FAILED

if TYPE_CHECKING:
    from infraspectre.settings import Settings


def serve(*, data: Path | None = None, port: int | None = None, common: Common = DEFAULT) -> int:
    """Run the platform: API, event log, detection and store, until it is told to stop.

    SIGTERM stops it in order: nothing more comes in, and what came is worked off and saved. SIGHUP starts its processes
    anew with the settings as they are now. With --json, one line says where it can be reached.

    Parameters
    ----------
    data
        Keep everything in this folder instead of the one of the settings.
    port
        Let the API listen at this port instead of the one of the settings; 0 lets the system choose one.
    """
    from infraspectre.serving.logs import configure
    from infraspectre.serving.supervisor import Supervisor

    configure("supervisor")
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


def tell(urls: dict[str, str], common: Common) -> None:
    """Say where the platform can be reached."""
    if common.json:
        import msgspec

        print(msgspec.json.encode({"url": urls["api"], "urls": urls}).decode(), flush=True)
    elif not common.quiet:
        note(f"the API answers at {urls['api']}")
