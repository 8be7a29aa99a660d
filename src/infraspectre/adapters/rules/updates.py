"""Brings sets of rules up to date from folders and the web: checked before, replaced at once, the last one kept."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from tempfile import mkdtemp
from typing import Literal

import msgspec

from infraspectre.adapters.rules.archives import folder_files, unpacked
from infraspectre.adapters.rules.texts import rule_texts
from infraspectre.documents import read_yaml
from infraspectre.errors import InfraSpectreError, InputError, OutputError
from infraspectre.files import make_folder, writing_to

SETS = ".sets"
"""The folder of all sets; a link with a source's name leads to the one in use, so that replacing it is one step."""
DIGEST_LETTERS = 16
"""Letters of its checksum by which a set is called."""
MOST_BYTES = 1 << 28
"""Bytes of one download."""
SILENCE_S = 30.0
"""A server that says nothing for so long is given up."""
PATIENCE_S = 600.0
"""A download that takes longer is given up."""
BLOCK_BYTES = 1 << 20
SHA256 = re.compile(r"[0-9a-f]{64}")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")

Files = Mapping[PurePosixPath, bytes]
Fetch = Callable[[str], bytes]


class RuleSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Says where a set of rules comes from."""

    name: str
    url: str | None = None
    sha256: str | None = None
    """The checksum of what the address gives; needed, since rules decide what is seen."""
    path: str | None = None
    """A folder, archive or rule file, relative to the file in which it stands."""

    def __post_init__(self) -> None:
        """Refuse a source that names no place, or one that cannot be trusted; raises ValueError."""
        if not NAME.fullmatch(self.name):
            raise ValueError(f"name {self.name!r} is not made of letters, digits, dots, hyphens and underscores")
        if (self.url is None) == (self.path is None):
            raise ValueError(f"source {self.name} needs either url or path")
        if self.url is not None and not self.url.startswith("https://"):
            raise ValueError(f"source {self.name}: url does not begin with https://")
        if self.url is not None and self.sha256 is None:
            raise ValueError(f"source {self.name}: a url needs the sha256 of what it gives")
        if self.sha256 is not None and not SHA256.fullmatch(self.sha256):
            raise ValueError(f"source {self.name}: sha256 is not 64 hexadecimal digits in lower case")


class Sources(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Lists the sources of rules."""

    sources: list[RuleSource]

    def __post_init__(self) -> None:
        """Refuse sources that would overwrite each other; raises ValueError."""
        names = [source.name for source in self.sources]
        if len(set(names)) < len(names):
            raise ValueError("two sources have the same name")


class Update(msgspec.Struct, frozen=True):
    """Says what became of a source."""

    name: str
    status: Literal["updated", "unchanged", "failed"]
    files: int = 0
    rules: int = 0
    problem: str = ""


def update(source: RuleSource, beside: Path, folder: Path, fetch: Fetch | None = None) -> Update:
    """Bring the set of a source in a folder up to date; after a failure the set in use stays in use."""
    try:
        files = gathered(source, beside, fetch or download)
        is_new, rules = installed(source.name, files, folder)
    except InfraSpectreError as error:
        return Update(source.name, "failed", problem=str(error))
    return Update(source.name, "updated" if is_new else "unchanged", len(files), rules)


def gathered(source: RuleSource, beside: Path, fetch: Fetch) -> Files:
    """Return the files of a source; raises InputError."""
    if source.url is not None:
        return unpacked(verified(fetch(source.url), source), source.url.partition("?")[0])
    place = beside / str(source.path)
    try:
        if place.is_dir():
            return folder_files(place)
        return unpacked(verified(place.read_bytes(), source), str(place))
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", path=place) from error


def verified(data: bytes, source: RuleSource) -> bytes:
    """Return data whose checksum is the one expected, if there is one; raises InputError otherwise."""
    digest = hashlib.sha256(data).hexdigest()
    if source.sha256 not in (None, digest):
        remedy = "if the new content is right, put this checksum into the file of sources"
        raise InputError(
            f"has the checksum {digest}, not the expected one", path=source.url or source.path, remedy=remedy
        )
    return data


def download(url: str) -> bytes:
    """Return what an https address gives, within bounds of size and time; raises InputError."""
    deadline = time.monotonic() + PATIENCE_S
    blocks: list[bytes] = []
    try:
        with https_only().open(url, timeout=SILENCE_S) as answer:
            while block := answer.read(BLOCK_BYTES):
                blocks.append(block)
                if len(blocks) * BLOCK_BYTES > MOST_BYTES or time.monotonic() > deadline:
                    raise InputError(f"gives more than {MOST_BYTES} bytes or takes over {PATIENCE_S:.0f} s", path=url)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be fetched: {getattr(error, 'reason', None) or error}", path=url) from error
    return b"".join(blocks)


def https_only() -> urllib.request.OpenerDirector:
    """Return what opens https addresses alone, also where a server sends on to another address."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPSHandler(),
    ):
        opener.add_handler(handler)
    return opener


def installed(name: str, files: Files, folder: Path) -> tuple[bool, int]:
    """Put files in place of the set in use, unless they are the same; return whether they are new, and their rules."""
    target = f"{name}-{digest_of(files)}"
    sets, link = make_folder(folder / SETS), folder / name
    if link.exists() and not link.is_symlink():
        raise OutputError("was not made by an update", path=link, remedy="move it away or name another folder")
    is_new = not (sets / target).is_dir() or link.resolve() != (sets / target).resolve()
    if is_new:
        stage(files, sets, target)
    rules = sum(1 for path in (sets / target).rglob("*.rules") for _ in rule_texts(path))
    if not rules:
        shutil.rmtree(sets / target, ignore_errors=True)
        raise InputError("holds no rules", path=name)
    if is_new:
        switch(link, sets, target)
    return is_new, rules


def digest_of(files: Files) -> str:
    """Return a checksum of files and their names."""
    digest = hashlib.sha256()
    for path, data in sorted(files.items()):
        digest.update(f"{path}\0{len(data)}\0".encode())
        digest.update(data)
    return digest.hexdigest()[:DIGEST_LETTERS]


def stage(files: Files, sets: Path, target: str) -> None:
    """Write files into a folder that appears whole or not at all."""
    with writing_to(sets / target):
        staging = Path(mkdtemp(prefix=".new-", dir=sets))
        try:
            for path, data in files.items():
                (staging / path).parent.mkdir(parents=True, exist_ok=True)
                (staging / path).write_bytes(data)
            staging.chmod(0o755)
            shutil.rmtree(sets / target, ignore_errors=True)
            staging.rename(sets / target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def switch(link: Path, sets: Path, target: str) -> None:
    """Let the link of a source lead to a set; forget all of its sets but that one and the one before."""
    with writing_to(link):
        before = Path(os.readlink(link)).name if link.is_symlink() else ""  # noqa: PTH115 - the text of the link
        fresh = link.with_name(f".{link.name}.new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(Path(SETS) / target, target_is_directory=True)
        fresh.replace(link)
        pattern = re.compile(rf"{re.escape(link.name)}-[0-9a-f]{{{DIGEST_LETTERS}}}")
        for old in sets.iterdir():
            if pattern.fullmatch(old.name) and old.name not in (before, target):
                shutil.rmtree(old, ignore_errors=True)


def read_sources(path: Path) -> Sources:
    """Read the file that lists sources; raises InputError naming file, line and field."""
    return read_yaml(path, Sources)
