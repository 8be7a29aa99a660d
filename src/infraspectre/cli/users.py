"""`infraspectre users`: who may log in to the platform."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path

from infraspectre.cli.grammar import Group
from infraspectre.cli.options import DEFAULT, Common
from infraspectre.cli.output import is_terminal, note, print_json, print_table
from infraspectre.errors import InputError, UsageError
from infraspectre.records.access import Role

MOST_PASSWORD_FILE = 4_096


def add(
    name: str,
    /,
    *,
    role: Role = "viewer",
    tenant: str = "default",
    password_file: Path | None = None,
    store: Path | None = None,
    common: Common = DEFAULT,
) -> None:
    """Add a user; the password is asked for, or read from the standard input or a file.

    The first administrator is made so. A password is no option, since others see the options of running programs.

    Parameters
    ----------
    name
        Name of the user, in small letters.
    role
        What the user may do.
    tenant
        Tenant of the user.
    password_file
        Read the password from the first line of this file.
    store
        Folder of another store than that of the settings.
    """
    from infraspectre.app import load_settings
    from infraspectre.serving.accounts import open_accounts

    with open_accounts(store, tenant, load_settings(common.config)) as accounts:
        accounts.add(name, role, hashed(common, password_file))
    said(common, {"name": name, "role": role, "tenant": tenant}, f"added {name} as {role}")


def password(
    name: str,
    /,
    *,
    tenant: str = "default",
    password_file: Path | None = None,
    store: Path | None = None,
    common: Common = DEFAULT,
) -> None:
    """Give a user a new password, which is asked for, or read from the standard input or a file.

    Parameters
    ----------
    name
        Name of the user.
    tenant
        Tenant of the user.
    password_file
        Read the password from the first line of this file.
    store
        Folder of another store than that of the settings.
    """
    from infraspectre.app import load_settings
    from infraspectre.serving.accounts import open_accounts

    with open_accounts(store, tenant, load_settings(common.config)) as accounts:
        accounts.change(name, password=hashed(common, password_file))
    said(common, {"name": name, "tenant": tenant}, f"changed the password of {name}")


def disable(name: str, /, *, tenant: str = "default", store: Path | None = None, common: Common = DEFAULT) -> None:
    """Refuse a user from now on, in sessions that are open too.

    Parameters
    ----------
    name
        Name of the user.
    tenant
        Tenant of the user.
    store
        Folder of another store than that of the settings.
    """
    from infraspectre.app import load_settings
    from infraspectre.serving.accounts import open_accounts

    with open_accounts(store, tenant, load_settings(common.config)) as accounts:
        accounts.change(name, is_disabled=True)
    said(common, {"name": name, "tenant": tenant}, f"disabled {name}")


def show(*, tenant: str = "default", store: Path | None = None, common: Common = DEFAULT) -> None:
    """List the users of a tenant.

    Parameters
    ----------
    tenant
        Tenant whose users are listed.
    store
        Folder of another store than that of the settings.
    """
    from infraspectre.app import load_settings
    from infraspectre.records.times import rfc3339
    from infraspectre.serving.accounts import open_accounts

    with open_accounts(store, tenant, load_settings(common.config)) as accounts:
        found = [(each.name, each.role, rfc3339(each.created_at), each.is_disabled) for each in accounts.all()]
    header = ["name", "role", "created_at", "is_disabled"]
    if common.json:
        print_json([dict(zip(header, row, strict=True)) for row in found])
    elif not common.quiet:
        print_table(header, [[str(cell) for cell in row] for row in found])


def said(common: Common, record: dict[str, str], words: str) -> None:
    """Say what was done."""
    if common.json:
        print_json(record)
    elif not common.quiet:
        note(words)


def hashed(common: Common, file: Path | None) -> str:
    """Return the hash of a password that is asked for or read; raises UsageError and InputError."""
    from infraspectre.api.access.passwords import Passwords
    from infraspectre.app import load_settings

    return Passwords(load_settings(common.config).access.password_kib).hash(secret(file))


def secret(file: Path | None) -> str:
    """Return a password from a file, a terminal or the standard input."""
    if file is not None:
        return first_line(file)
    if not is_terminal(sys.stdin):
        return sys.stdin.readline(MOST_PASSWORD_FILE).rstrip("\r\n")
    given = getpass.getpass("password: ")
    if getpass.getpass("once more: ") != given:
        raise UsageError("the passwords differ", remedy="try again")
    return given


def first_line(file: Path) -> str:
    """Return the first line of a file; raises InputError, which does not show it."""
    try:
        with file.open(encoding="utf-8") as lines:
            return lines.readline(MOST_PASSWORD_FILE).rstrip("\r\n")
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=file) from error
    except UnicodeDecodeError as error:
        raise InputError("is not a text file in UTF-8", path=file) from error


users = Group(
    "List, add and disable the users of the platform, and change their passwords.",
    {"list": show, "add": add, "password": password, "disable": disable},
)
