"""Names of the internet that people chose, popular or not, out of public lists, references and captures of resolvers.

Reading archives needs pyarrow, a development dependency.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from infraspectre.capture import CaptureSource
from infraspectre.errors import InputError

LISTS = "intel/misp/warninglists.tar.zst"
SOURCES = (
    "university_domains",
    "bank-website",
    "public-dns-hostname",
    "dynamic-dns",
    "second-level-tlds",
    "disposable-email",
)
"""Lists of names that people chose and that are no lists of popular sites, each long enough to be a source."""
SMALL_LISTS = (
    "url-shortener",
    "crl-hostname",
    "microsoft",
    "covid",
    "covid-19-cyber-threat-coalition-whitelist",
    "parking-domain-ns",
    "whats-my-ip",
    "google",
    "moz-top500",
    "link-in-bio",
)
"""Lists of the same kind that are one source together."""
REFERENCES = (
    "intel/attack/enterprise-attack-stix20.json.zst",
    "intel/attack/mobile-attack-17.1.json.zst",
    "intel/attack/capec-stix21.json.zst",
    "intel/rules_sigma/sigma_rules_public.tar.zst",
    "intel/misp/galaxy_selected.tar.zst",
)
"""Files that refer to pages of many unpopular sites."""
RESOLVERS = "net/dns-tunnel/normal"
"""Captures of ordinary resolvers: what people ask for, most of it unpopular."""
ADDRESS = re.compile(r"https?://([A-Za-z0-9.-]+\.[A-Za-z]{2,24})(?![A-Za-z0-9.-])")
HIDDEN = ".onion"
"""Ends names of hidden services, which are keys and chosen by nobody (RFC 7686)."""


def chosen_names(data: Path) -> Iterator[tuple[str, str]]:
    """Yield pairs of a source and a name; raise `InputError` for a file that is missing."""
    yield from listed_names(data, SOURCES)
    yield from (("small lists", name) for _, name in listed_names(data, SMALL_LISTS))
    yield from (("references", name) for file in REFERENCES for name in _referred(required(data, file)))
    yield from (("resolvers", name) for path in capture_files(data) for name in _resolved(path))


def listed_names(data: Path, lists: Sequence[str]) -> list[tuple[str, str]]:
    """Return pairs of a list and a name, of some of MISP's warning lists."""
    path = required(data, LISTS)
    with tarfile.open(fileobj=io.BytesIO(_unpacked(path))) as archive:
        return [(name, text) for name in lists for text in _list(archive, name, path)]


def capture_files(data: Path) -> list[Path]:
    """Return the captures of resolvers, in the order of their names."""
    found = sorted((data / RESOLVERS).glob("*.pcap"))
    if not found:
        raise InputError("holds no capture", path=data / RESOLVERS, remedy="give the folder of test data as --data")
    return found


def required(data: Path, name: str) -> Path:
    """Return the path of a file of the data; raise `InputError` where it is missing."""
    path = data / name
    if not path.is_file():
        raise InputError("this file is missing", path=path, remedy="give the folder of test data as --data")
    return path


def _list(archive: tarfile.TarFile, name: str, path: Path) -> list[str]:
    member = next((member for member in archive if f"/{name}/list.json" in member.name), None)
    content = None if member is None else archive.extractfile(member)
    if content is None:
        raise InputError(f"the archive has no list {name}", path=path, remedy="fetch the whole archive")
    return [text.strip(".") for text in json.load(content)["list"]]


def _referred(path: Path) -> list[str]:
    names = {name.lower() for name in ADDRESS.findall(_unpacked(path).decode("utf-8", "replace"))}
    return sorted(name for name in names if not name.endswith(HIDDEN))


def _resolved(path: Path) -> list[str]:
    names: set[str] = set()
    for batch in CaptureSource([str(path)], features="base"):
        names.update(batch.frame["dns_queries"].explode().drop_nulls())
    return sorted(names)


def _unpacked(path: Path) -> bytes:
    import pyarrow as pa

    with pa.CompressedInputStream(pa.OSFile(str(path)), "zstd") as stream:
        return bytes(stream.read())
