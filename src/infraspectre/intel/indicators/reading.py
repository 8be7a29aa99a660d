"""Reads files and folders of indicators, whatever their form, which their content tells."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import msgspec

from infraspectre.errors import InputError
from infraspectre.intel.indicators import misp, otx, stix
from infraspectre.intel.indicators.findings import Findings, one_by_one
from infraspectre.intel.indicators.index import IndicatorIndex
from infraspectre.intel.indicators.lists import read_list
from infraspectre.intel.indicators.warninglists import Warninglists
from infraspectre.records.indicators import About, IndicatorCheck

MAXIMUM_BYTES = 1 << 30
"""Larger files are refused: they hold more indicators than are kept."""
SUFFIXES = (
    *(".json", ".stix", ".stix2", ".misp", ".csv", ".tsv", ".txt", ".list", ".lst", ".ioc", ".iocs"),
    *(".netset", ".ipset", ".md5", ".sha1", ".sha256"),
)
"""Files that are read in folders; a file that is named is read whatever it is called."""
NOTHING = msgspec.Raw(b"")


class Shape(msgspec.Struct):
    """Reads by which of its members an object can be told."""

    type: msgspec.Raw = NOTHING
    objects: msgspec.Raw = NOTHING
    Event: msgspec.Raw = NOTHING
    response: msgspec.Raw = NOTHING
    Attribute: msgspec.Raw = NOTHING
    indicators: msgspec.Raw = NOTHING
    indicator: msgspec.Raw = NOTHING
    results: msgspec.Raw = NOTHING
    list: msgspec.Raw = NOTHING
    name: msgspec.Raw = NOTHING


class Collection:
    """Holds all that files of indicators and warninglists say."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.findings = Findings()
        self.warninglists = Warninglists()
        self.files = 0

    @cached_property
    def index(self) -> IndicatorIndex:
        """Return the index of the indicators, weighed by the warninglists."""
        return IndicatorIndex(self.findings.indicators, self.warninglists)

    @property
    def counts(self) -> dict[str, int]:
        """Return how many distinct indicators there are of each kind, by kind."""
        return dict(sorted(Counter(each.kind for each in self.index.indicators).items()))

    def account(self) -> dict[str, int]:
        """Return what was read in numbers: indicators by kind, and what of it is not used."""
        check = self.check()
        losses = {"vetoed": check.vetoed, "unusable": sum(check.unusable.values()), "refused": len(check.refused)}
        return check.indicators | losses

    def check(self) -> IndicatorCheck:
        """Return what the files hold, and what of it cannot be used."""
        factors = [warning.factor for warning in self.index.warnings]
        return IndicatorCheck(
            files=self.files,
            indicators=self.counts,
            warninglists=len(self.warninglists),
            vetoed=sum(factor == 0 for factor in factors),
            weakened=sum(0 < factor < 1 for factor in factors),
            unusable=dict(self.findings.unusable.most_common()),
            refused=self.findings.refused,
        )


def read_indicators(paths: Sequence[Path]) -> Collection:
    """Read files, and the files in folders; raises InputError for a path that is not there."""
    collection = Collection()
    for path in paths:
        if not path.exists():
            raise InputError("does not exist", path=path)
        for file in files_in(path):
            read_file(file, collection)
    return collection


def files_in(path: Path) -> Iterator[Path]:
    """Yield a file, or those in a folder and below it that may hold indicators, by name."""
    if not path.is_dir():
        yield path
        return
    for folder, folders, names in os.walk(path):
        folders.sort()
        yield from (Path(folder, name) for name in sorted(names) if name.lower().endswith(SUFFIXES) and name[0] != ".")


def read_file(path: Path, collection: Collection) -> None:
    """Add what a file holds; what is wrong with it is noted."""
    findings = collection.findings
    findings.path = str(path)
    collection.files += 1
    try:
        if path.stat().st_size > MAXIMUM_BYTES:
            return findings.refuse(f"is larger than {MAXIMUM_BYTES:,} bytes")
        data = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        return findings.refuse(f"cannot be read: {error.strerror}")
    return read_content(data, collection, path.stem)


def read_content(data: bytes, collection: Collection, source: str) -> None:
    """Add what a text holds, whose form its content tells; what is wrong with it is noted."""
    if data.lstrip()[:1] in (b"{", b"["):
        return read_json(data, collection, source)
    return read_list(data.decode("utf-8", "replace"), collection.findings, source)


def read_json(data: bytes, collection: Collection, source: str) -> None:
    """Add what a JSON file holds."""
    findings = collection.findings
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
        if data.lstrip()[:1] == b"[":
            return read_items(msgspec.Raw(data), collection, source)
        return read_object(data, msgspec.json.decode(data, type=Shape), collection, source)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        return findings.refuse(f"is not JSON of a known form: {error}", line=line_of(data, str(error)))


def line_of(data: bytes, message: str) -> int | None:
    """Return the line of an error whose message tells its byte."""
    _, found, number = message.rpartition("(byte ")
    digits = number.rstrip(")")
    return data.count(b"\n", 0, int(digits)) + 1 if found and digits.isdigit() else None


def read_object(data: bytes, shape: Shape, collection: Collection, source: str) -> None:
    """Add what an object holds, by its members."""
    findings = collection.findings
    if shape.objects:
        stix.read_stix(shape.objects, findings, source)
    elif shape.Event:
        misp.read_events(_listed(data), findings, source)
    elif shape.response:
        misp.read_events(_as_list(shape.response), findings, source)
    elif shape.Attribute:
        misp.read_events(_listed(b'{"Event":' + data + b"}"), findings, source)
    elif shape.indicators:
        otx.read_pulses(_listed(data), findings, source)
    elif shape.results:
        otx.read_pulses(shape.results, findings, source)
    elif shape.list:
        collection.warninglists.read(data, findings)
    elif shape.type:
        stix.read_stix(_listed(data), findings, source)
    elif not is_manifest(data):
        findings.refuse("is JSON of no known form: no STIX bundle, MISP event, OTX pulse or warninglist")


def read_items(data: msgspec.Raw, collection: Collection, source: str) -> None:
    """Add what a list holds, by the members of its first item."""
    items = one_by_one(data)
    if not items:
        return
    findings = collection.findings
    shape = msgspec.json.decode(items[0], type=Shape)
    if shape.Event:
        misp.read_events(data, findings, source)
    elif shape.indicator:
        otx.read_list(data, findings, About(sources=(source,)))
    elif shape.indicators:
        otx.read_pulses(data, findings, source)
    elif shape.type:
        stix.read_stix(data, findings, source)
    else:
        findings.refuse("is a JSON list of no known form")


def is_manifest(data: bytes) -> bool:
    """Tell whether an object is the manifest of a MISP feed, which names the events beside it."""
    try:
        named = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        return False
    return bool(named) and all(len(name) == 36 and name.count("-") == 4 for name in named)


def _listed(data: bytes) -> msgspec.Raw:
    return msgspec.Raw(b"[" + data + b"]")


def _as_list(raw: msgspec.Raw) -> msgspec.Raw:
    return raw if bytes(raw).lstrip()[:1] == b"[" else _listed(bytes(raw))
