"""Checkpoints: what the worker has learnt, saved with the place in the log up to which it has."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

import infraspectre
from infraspectre import __version__
from infraspectre.cortex.rules import Rules
from infraspectre.errors import InputError, OutputError
from infraspectre.files import make_folder, write_durably
from infraspectre.intel.assets import Assets
from infraspectre.intel.business_rules import BusinessRules
from infraspectre.intel.indicators.index import IndicatorIndex
from infraspectre.pipeline import Pipeline
from infraspectre.records import SCHEMA_VERSION
from infraspectre.serving.breakers import Breaker, Cost
from infraspectre.serving.codec import Restorer, Saver
from infraspectre.serving.shedding import Account
from infraspectre.settings import Settings

MAGIC = b"ISCP\x01"
DIGEST_BYTES = 32
HEADER = struct.Struct(f"<{len(MAGIC)}s{DIGEST_BYTES}s{DIGEST_BYTES}sQ")
MOST_BYTES = 2 << 30
OPAQUE = (Assets, Breaker, BusinessRules, Cost, IndicatorIndex, Rules)
"""What comes from files and settings, or from this process alone, and is made anew."""


def is_opaque(kind: type) -> bool:
    """Tell whether objects of a class come from files, as models do, or from this process alone."""
    return issubclass(kind, OPAQUE) or (hasattr(kind, "judge") and hasattr(kind, "kind"))


class Learnt(msgspec.Struct):
    """Is what the worker knows of the flows that it has seen."""

    pipelines: dict[str, Any] = {}
    """The pipeline of each tenant."""
    seen: dict[str, dict[str, int]] = {}
    """The next batch of each sensor, by epoch."""
    told: dict[str, None] = {}
    """Incidents that were told, the last ones."""
    account: Account = msgspec.field(default_factory=Account)
    reached: dict[str, int] = {}
    """The event time that the flows of each tenant have reached."""


class Place(NamedTuple):
    """Is a place in the log up to which everything was learnt."""

    epoch: str
    position: int


class Saved(msgspec.Struct, frozen=True):
    """Is what a checkpoint holds."""

    place: Place
    seen: dict[str, dict[str, int]]
    told: list[str]
    account: Account
    reached: dict[str, int]
    pipelines: dict[str, Any]


class Checkpoints:
    """Keeps the last checkpoint in a file that appears whole or not at all."""

    def __init__(self, path: Path, key: bytes) -> None:
        """Use a file; `key` names what the state depends on besides the log, and another key makes it useless."""
        self.path = path
        self._key = key

    def save(self, learnt: Learnt, place: Place) -> int:
        """Save what was learnt durably and return its size in bytes; raises OutputError."""
        body = msgspec.msgpack.encode(
            Saved(place, learnt.seen, list(learnt.told), learnt.account, learnt.reached,
                  {tenant: Saver(is_opaque).save(parts(pipeline)) for tenant, pipeline in learnt.pipelines.items()})
        )  # fmt: skip
        if len(body) > MOST_BYTES:
            raise OutputError(
                f"would have {len(body):,} bytes", path=self.path, remedy="give tenants workers of their own"
            )
        header = HEADER.pack(MAGIC, self._key, digest(body), len(body))
        make_folder(self.path.parent)

        def write(new: Path) -> None:
            with new.open("wb") as file:
                file.writelines((header, body))

        write_durably(self.path, write)
        return len(header) + len(body)

    def load(self, compose: Callable[[], Pipeline]) -> tuple[Learnt, Place] | None:
        """Return what was saved, in pipelines that are made anew; None if nothing was.

        Raises InputError for a checkpoint that is damaged, or does not fit to this version or these settings.
        """
        body = self._body()
        if body is None:
            return None
        try:
            saved = msgspec.msgpack.decode(body, type=Saved)
            learnt = Learnt({}, saved.seen, dict.fromkeys(saved.told), saved.account, saved.reached)
            for tenant, tree in saved.pipelines.items():
                learnt.pipelines[tenant] = pipeline = compose()
                Restorer().restore(tree, parts(pipeline))
        except (msgspec.MsgspecError, RecursionError) as error:
            raise InputError(str(error), path=self.path) from error
        return learnt, saved.place

    def _body(self) -> bytes | None:
        try:
            if self.path.stat().st_size > MOST_BYTES + HEADER.size:
                raise InputError("is too large", path=self.path)
            data = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InputError(error.strerror or str(error), path=self.path) from error
        if len(data) < HEADER.size:
            raise InputError("is cut off", path=self.path)
        magic, key, told, size = HEADER.unpack_from(data)
        body = data[HEADER.size :]
        if magic != MAGIC or size != len(body) or digest(body) != told:
            raise InputError("is damaged", path=self.path)
        if key != self._key:
            raise InputError("was saved by another version, or with other settings", path=self.path)
        return body


def parts(pipeline: Pipeline) -> list[Any]:
    """Return what of a pipeline learns; what decides does not."""
    return [pipeline.axon, pipeline.soma, pipeline.cortex]


def digest(data: bytes) -> bytes:
    """Return the BLAKE2b digest of some bytes (RFC 7693)."""
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).digest()


def key_of(settings: Settings) -> bytes:
    """Return what names the code, the settings and the files that the state of a pipeline depends on."""
    chosen = settings.detection
    files = [chosen.assets, *chosen.rules, *chosen.models, *chosen.intel, *chosen.correlation]
    told = [__version__, str(SCHEMA_VERSION), code().hex(), msgspec.json.encode((chosen, settings.reflex)).decode()]
    return digest("\n".join([*told, *stamps(Path(each) for each in files if each)]).encode())


def stamps(paths: Iterable[Path]) -> Iterable[str]:
    """Yield the name, size and time of each file, also of those in folders."""
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                status = file.stat()
                yield f"{file} {status.st_size} {status.st_mtime_ns}"


@cache
def code() -> bytes:
    """Return the digest of this package's code, core included."""
    folder = Path(infraspectre.__file__).parent
    files = sorted([*folder.rglob("*.py"), *folder.rglob("*.so")])
    return digest(b"".join(digest(file.read_bytes()) for file in files))
