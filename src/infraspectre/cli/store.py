"""`infraspectre store`: the care for the store of records."""

from __future__ import annotations

from pathlib import Path

from infraspectre.cli.grammar import Function, Group
from infraspectre.cli.options import DEFAULT, Common
from infraspectre.cli.output import note, print_json, print_table
from infraspectre.errors import EXIT_DONE, EXIT_FAILED, EXIT_LOSSES
from infraspectre.ports import Damage

NOTHING = "nothing is damaged"


def verify(store: Path, /, *, common: Common = DEFAULT) -> int:
    """Find every damaged record, and whatever it is found by that does not fit it; nothing is changed.

    Parameters
    ----------
    store
        File of the store, or a file NAME.dsn with the connection string of a PostgreSQL database.
    """
    from infraspectre import storebook

    found = storebook.verify(store)
    if common.json:
        print_json({"damages": [each._asdict() for each in found]})
    elif not common.quiet:
        show(found)
    return EXIT_FAILED if found else EXIT_DONE


def repair(store: Path, /, *, common: Common = DEFAULT) -> int:
    """Move damaged records aside, so that the rest goes on; a file that is damaged beyond them is made anew.

    Parameters
    ----------
    store
        File of the store, or a file NAME.dsn with the connection string of a PostgreSQL database. End the platform
        before: a file that is made anew must not be in use.
    """
    from infraspectre import storebook

    done = storebook.repair(store)
    if common.json:
        print_json({"moved": [each._asdict() for each in done.moved], "rebuilt": done.rebuilt})
    elif not common.quiet:
        show(done.moved)
        if done.rebuilt is not None:
            note(f"the file was made anew of {done.rebuilt:,} records; the damaged one lies beside it")
    return EXIT_LOSSES if done.moved or done.rebuilt is not None else EXIT_DONE


def show(found: list[Damage]) -> None:
    """Print what is damaged."""
    from infraspectre.security import printable

    if found:
        print_table(Damage._fields, [[printable(cell) for cell in each] for each in found])
    else:
        note(NOTHING)


def backup(store: Path, /, *, out: Path, common: Common = DEFAULT) -> None:
    """Copy the store as it is at one moment, while the platform goes on.

    Parameters
    ----------
    store
        File of the store.
    out
        Write the copy into this file.
    """
    from infraspectre import storebook

    storebook.back_up(store, out)
    if common.json:
        print_json({"backup": out})
    elif not common.quiet:
        note(f"copied to {out}")


def erase(
    store: Path,
    entity: str,
    /,
    *,
    tenant: str = "default",
    pseudonym: str | None = None,
    evidence: Path | None = None,
    common: Common = DEFAULT,
) -> None:
    """Remove all records that name an address or a name, and all packets of incidents that hold it.

    Parameters
    ----------
    store
        File of the store, or a file NAME.dsn with the connection string of a PostgreSQL database.
    entity
        The address or name.
    tenant
        Look at the records of this tenant.
    pseudonym
        Keep the records, and write this in the place of the address or name; packets are removed all the same.
    evidence
        Folder of the packets of incidents; by default `evidence` beside the file of the store.
    """
    from infraspectre import storebook

    erased = storebook.erase(store, tenant, entity, pseudonym, evidence)
    if common.json:
        print_json({"records": erased.records, "captures": erased.captures})
    elif not common.quiet:
        note(f"{erased.records:,} records {'removed' if pseudonym is None else 'changed'}")
        if erased.captures:
            note(f"the packets of {erased.captures:,} incidents removed")


COMMANDS: dict[str, Function] = {"verify": verify, "repair": repair, "backup": backup, "erase": erase}
store = Group("Verify, repair and copy the store of records, and erase from it who is named.", COMMANDS)
