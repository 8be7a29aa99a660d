"""What a store says of itself: its version, its collections' fields and its tenants' numbers, each with a checksum."""

from __future__ import annotations

import zlib

from infraspectre.adapters.record_store.database import Connection, Dialect
from infraspectre.errors import InputError

REPAIR = "'infraspectre store repair' saves what can be saved"
COLLECTION, LISTED, TENANT = "collection ", "listed ", "tenant "
"""How names of what is said of collections, of those that are listed, and of tenants begin."""


def make_meta(connection: Connection, dialect: Dialect) -> None:
    """Make the table, and that of damaged rows, if there are none."""
    text, integer = f"{dialect.text} NOT NULL", f"{dialect.integer} NOT NULL"
    connection.run(
        f"CREATE TABLE IF NOT EXISTS store_meta (name {dialect.text} PRIMARY KEY, value {text}, checksum {integer})"
    )
    connection.run(
        f"CREATE TABLE IF NOT EXISTS store_damaged (collection {text}, id {integer}, tenant {dialect.text}, "
        f"key {dialect.text}, revision {dialect.integer}, changed_at {dialect.integer}, checksum {dialect.integer}, "
        f"body {dialect.blob})"
    )


def read_meta(connection: Connection, name: str) -> str | None:
    """Return what is said under a name; raises InputError if it is damaged."""
    rows = connection.rows("SELECT value, checksum FROM store_meta WHERE name = ?", (name,))
    return checked(name, *rows[0]) if rows else None


def read_all(connection: Connection, start: str) -> dict[str, str]:
    """Return all that is said under names that begin so, by the rest of the name; raises InputError."""
    rows = connection.rows("SELECT name, value, checksum FROM store_meta")
    return {str(name).removeprefix(start): checked(name, *rest) for name, *rest in rows if str(name).startswith(start)}


def write_meta(connection: Connection, name: str, value: str) -> None:
    """Say something."""
    connection.run(
        "INSERT INTO store_meta (name, value, checksum) VALUES (?, ?, ?) "
        "ON CONFLICT (name) DO UPDATE SET value = excluded.value, checksum = excluded.checksum",
        (name, value, checksum_of(name, value)),
    )


def checked(name: str, value: str, checksum: int) -> str:
    """Return a value that is as it was written; raises InputError."""
    if checksum != checksum_of(name, value):
        raise InputError("is damaged", field=f"store_meta {name}", remedy=REPAIR)
    return value


def checksum_of(name: str, value: str) -> int:
    """Return the CRC-32 of a name and its value."""
    return zlib.crc32(f"{name}\0{value}".encode(errors="surrogatepass"))


def numbers(connection: Connection) -> dict[str, int]:
    """Return the numbers of all tenants that ever wrote."""
    return {name: int(value) for name, value in read_all(connection, TENANT).items()}


def number_of(connection: Connection, tenant: str) -> int | None:
    """Return the number of a tenant, None for one that never wrote."""
    value = read_meta(connection, TENANT + tenant)
    return None if value is None else int(value)


def numbered(connection: Connection, tenant: str) -> int:
    """Return the number of a tenant, which it gets if it has none."""
    number = number_of(connection, tenant)
    if number is None:
        connection.lock("tenants")
        known = numbers(connection)
        number = known.get(tenant, 1 + max(known.values(), default=0))
        write_meta(connection, TENANT + tenant, str(number))
    return number
