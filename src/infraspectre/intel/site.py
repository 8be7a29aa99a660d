"""What the owner of the network says about it, in one file: assets, scanners, maintenance and business rules."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from infraspectre.documents import Document, read_document, read_text
from infraspectre.errors import InputError, all_of
from infraspectre.intel.assets import Assets, read_rows
from infraspectre.intel.business_rules import BusinessRule, BusinessRules, Maintenance, Scanner
from infraspectre.intel.windows import zone_of
from infraspectre.records import Asset

SECTIONS: dict[str, type[Any]] = {
    "assets": Asset,
    "scanners": Scanner,
    "maintenance": Maintenance,
    "rules": BusinessRule,
}
"""The lists that a file may hold, and what their items are."""
SCANNING = "scanner"
"""The role of hosts that are authorised to scan the site at any time."""

Item = TypeVar("Item")


class Site(NamedTuple):
    """Holds what is said about the network."""

    assets: Assets
    rules: BusinessRules


def load_site(path: Path) -> Site:
    """Read what is known about the site from YAML, or assets from CSV; raises InputError that names all errors."""
    return _read_csv(path) if path.suffix.lower() == ".csv" else _read_yaml(path)


def _read_csv(path: Path) -> Site:
    rows = list(read_rows(read_text(path)))
    if errors := [InputError(row, path=path, line=line) for line, row in rows if isinstance(row, str)]:
        raise all_of(errors)
    return _site([row for _, row in rows if isinstance(row, Asset)], [], [], [])


def _read_yaml(path: Path) -> Site:
    document = read_document(path)
    if not isinstance(document.content, dict):
        raise document.fault("holds no sections", "$", f"write {', '.join(SECTIONS)} and time_zone")
    unknown = [key for key in document.content if key not in SECTIONS and key != "time_zone"]
    remedy = f"there are {', '.join(SECTIONS)} and time_zone"
    errors = [document.fault("is no section", f"$.{key}", remedy) for key in unknown]
    read = {name: list(_items(document, name, kind, errors)) for name, kind in SECTIONS.items()}
    zone = document.content.get("time_zone", "UTC")
    try:
        zone_of(str(zone))
    except ValueError as error:
        errors.append(document.fault(str(error), "$.time_zone"))
    if errors:
        raise all_of(errors)
    return _site(read["assets"], read["scanners"], read["maintenance"], read["rules"], str(zone))


def _items(document: Document, name: str, kind: type[Item], errors: list[InputError]) -> Iterator[Item]:
    """Yield the items of a section; the errors of the others are noted."""
    items = document.content.get(name) or []
    if not isinstance(items, list):
        errors.append(document.fault("is no list", f"$.{name}"))
        return
    for place in range(len(items)):
        try:
            yield document.part(kind, f"$.{name}[{place}]")
        except InputError as error:
            errors.append(error)


def _site(
    assets: list[Asset],
    scanners: list[Scanner],
    maintenance: list[Maintenance],
    rules: list[BusinessRule],
    zone: str = "UTC",
) -> Site:
    known = Assets(assets)
    named = [each for each in assets if SCANNING in each.roles]
    declared = [Scanner(each.name or each.network, (each.network,)).rule for each in named]
    declared += [each.rule for each in scanners] + [rule for each in maintenance for rule in each.rules]
    return Site(known, BusinessRules([*rules, *declared], known, zone_of(zone)))
