"""Model directories: a manifest, the learnt values as JSON and arrays as .npy, each known by its digest.

A directory without a manifest is unfinished; what the manifest does not name is not read. Nothing in a directory is
code, and nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from infraspectre.adapters.results import json_document
from infraspectre.errors import InputError, OutputError
from infraspectre.files import make_folder, write_whole, writing_to
from infraspectre.ml.detector import State
from infraspectre.records.models import FORMAT, Manifest

Card = TypeVar("Card")
MANIFEST = "manifest.json"
STATE = "state.json"
CARD = "README.md"
"""What people write about a model; it stays when the model is replaced."""
REPORTS = "report-*.json"
"""The report cards of a registered model, one for each name that it is registered as: a tenant reads its own."""
MAX_REPORT_BYTES = 4 << 20
ARRAYS = "arrays"
ARRAY_NAME = re.compile(rf"{ARRAYS}/\d{{4}}\.npy")
MAX_JSON_BYTES = 64 << 20
"""Largest manifest or state: dictionaries of a few hundred thousand words."""
MAX_ARRAY_BYTES = 512 << 20
MAX_ARRAYS = 4_096
MAX_BYTES = 1 << 30
"""Most bytes of all arrays together, so that a model cannot fill the memory."""
MAX_DEPTH = 16
"""Most levels of parts within parts."""
TAMPERED = "fetch the model again, or train it anew"


class StoredState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Holds a state with the names of files in place of arrays."""

    kind: str
    values: dict[str, Any]
    arrays: dict[str, str]
    parts: dict[str, StoredState]


def save_model(folder: Path, manifest: Manifest, state: State) -> Manifest:
    """Write a model directory and return its manifest with digests and content id; the manifest is written last.

    A model that was there is replaced; raises OutputError for a folder that holds something else.
    """
    clear(folder)
    arrays: list[NDArray[Any]] = []
    stored = stored_state(state, arrays)
    contents = {f"{ARRAYS}/{number:04}.npy": npy_bytes(array) for number, array in enumerate(arrays)}
    contents[STATE] = json_document(stored)
    check_sizes(folder, contents)
    make_folder(folder / ARRAYS)
    for name, data in contents.items():
        write_whole(folder / name, data)
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(contents.items())}
    manifest = msgspec.structs.replace(manifest, files=digests, signature=None)
    manifest = msgspec.structs.replace(manifest, content_id=content_id(manifest))
    write_manifest(folder, manifest)
    return manifest


def clear(folder: Path) -> None:
    """Make room for a model: remove one that is there, its manifest first, and what a killed training left.

    Raises OutputError for a folder that holds anything else.
    """
    make_folder(folder)
    unfinished = [folder / f".{name}.partial" for name in (MANIFEST, STATE, CARD)]
    arrays = [*(folder / ARRAYS).glob("*.npy"), *(folder / ARRAYS).glob(".*.partial")]
    own = [folder / MANIFEST, folder / STATE, *arrays, *unfinished]
    others = [path for path in folder.iterdir() if path not in own and path.name not in (ARRAYS, CARD)]
    if others and not (folder / MANIFEST).exists():
        raise OutputError("holds other things than a model", path=folder, remedy="name a new or an empty folder")
    for path in own:
        with writing_to(path):
            path.unlink(missing_ok=True)


def check_sizes(folder: Path, contents: dict[str, bytes]) -> None:
    """Raise OutputError for a model that could not be loaded again."""
    total = sum(map(len, contents.values()))
    if len(contents[STATE]) > MAX_JSON_BYTES or total > MAX_BYTES or len(contents) > MAX_ARRAYS:
        raise OutputError(f"the model is too large ({total:,} bytes)", path=folder, remedy="learn from fewer rows")


def stored_state(state: State, arrays: list[NDArray[Any]]) -> StoredState:
    """Return a state that JSON can say; its arrays are appended, and named by their place among them."""
    names = {}
    for name, array in state.arrays.items():
        names[name] = f"{ARRAYS}/{len(arrays):04}.npy"
        arrays.append(array)
    parts = {name: stored_state(part, arrays) for name, part in state.parts.items()}
    return StoredState(state.kind, state.values, names, parts)


def npy_bytes(array: NDArray[Any]) -> bytes:
    """Return an array as an .npy file (NumPy enhancement proposal 1); raises ValueError for one of Python objects."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asarray(array), allow_pickle=False)
    return buffer.getvalue()


def content_id(manifest: Manifest) -> str:
    """Return the SHA-256 digest of a manifest without content id and signature, as JSON with sorted keys."""
    return hashlib.sha256(msgspec.json.encode(manifest.unsigned(), order="sorted")).hexdigest()


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of a model directory."""
    write_whole(folder / MANIFEST, json_document(manifest))


def load_manifest(folder: Path) -> Manifest:
    """Read a manifest and check its version, content id and signature; raises InputError naming what is wrong."""
    path = folder / MANIFEST
    if not path.is_file():
        raise InputError("is no model: it has no manifest.json", path=folder, remedy="name a folder that 'train' wrote")
    data = read_bounded(path, MAX_JSON_BYTES)
    try:
        version = msgspec.json.decode(data, type=dict[str, Any]).get("format")
        if version != FORMAT:
            remedy = f"this version reads format {FORMAT}: train the model anew"
            raise InputError(f"has format {version!r:.20}", path=path, remedy=remedy)
        manifest = msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InputError(f"is not a manifest: {error}", path=path, remedy=TAMPERED) from error
    if content_id(manifest) != manifest.content_id:
        raise InputError("was changed: its content id does not match", path=path, remedy=TAMPERED)
    if manifest.signature is not None:
        from infraspectre.adapters.signing import check_signature

        check_signature(manifest, path)
    return manifest


def report_path(folder: Path, name: str) -> Path:
    """Return where the report card is that a model has under a name of the registry."""
    return folder / REPORTS.replace("*", name)


def load_card(path: Path, form: type[Card]) -> Card | None:
    """Read what a form needs of a report card; None where there is none. Raises InputError."""
    if not path.is_file():
        return None
    try:
        return msgspec.json.decode(read_bounded(path, MAX_REPORT_BYTES), type=form)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InputError(f"is no report card: {error}", path=path, remedy="evaluate the model again") from error


def load_model(folder: Path) -> tuple[Manifest, State]:
    """Read a model, every digest checked; raises InputError naming the file that is missing, changed or too large."""
    manifest = load_manifest(folder)
    if len(manifest.files) > MAX_ARRAYS:
        raise InputError(f"names {len(manifest.files):,} files", path=folder / MANIFEST, remedy=TAMPERED)
    contents = dict(checked_files(folder, manifest))
    if STATE not in contents:
        raise InputError("names no state.json", path=folder / MANIFEST, remedy=TAMPERED)
    try:
        stored = msgspec.json.decode(contents.pop(STATE), type=StoredState)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InputError(f"is not a state: {error}", path=folder / STATE, remedy=TAMPERED) from error
    arrays = {name: loaded_array(folder / name, data) for name, data in contents.items()}
    return manifest, restored_state(stored, arrays, folder / STATE)


def checked_files(folder: Path, manifest: Manifest) -> Iterator[tuple[str, bytes]]:
    """Yield each file of a manifest; what is hashed is what is used, so that nothing can change in between."""
    room = MAX_BYTES
    for name, digest in manifest.files.items():
        if name != STATE and not ARRAY_NAME.fullmatch(name):
            raise InputError(f"names a file that no model has: {name!r:.80}", path=folder / MANIFEST, remedy=TAMPERED)
        data = read_bounded(folder / name, min(room, MAX_JSON_BYTES if name == STATE else MAX_ARRAY_BYTES))
        if hashlib.sha256(data).hexdigest() != digest:
            raise InputError("was changed: its digest does not match the manifest", path=folder / name, remedy=TAMPERED)
        room -= len(data)
        yield name, data


def read_bounded(path: Path, most: int) -> bytes:
    """Return the bytes of a file; raises InputError if it cannot be read or has more than `most`."""
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path, remedy=TAMPERED) from error
    if len(data) > most:
        raise InputError(f"is larger than {most:,} bytes", path=path, remedy=TAMPERED)
    return data


def loaded_array(path: Path, data: bytes) -> NDArray[Any]:
    """Return the array of an .npy file whose header agrees with its size, so that it takes no more memory than that."""
    buffer = io.BytesIO(data)
    try:
        if np.lib.format.read_magic(buffer) != (1, 0):
            raise ValueError("another version of the format")
        shape, _, dtype = np.lib.format.read_array_header_1_0(buffer)
        count = int(np.prod(shape, dtype=object)) if shape else 1
        if dtype.hasobject or count * dtype.itemsize != len(data) - buffer.tell():
            raise ValueError("its header does not agree with its size")
        buffer.seek(0)
        array: NDArray[Any] = np.load(buffer, allow_pickle=False)
    except (ValueError, EOFError, SyntaxError, TypeError) as error:
        raise InputError(f"is not an array: {error}", path=path, remedy=TAMPERED) from error
    return array


def restored_state(stored: StoredState, arrays: dict[str, NDArray[Any]], path: Path, depth: int = 0) -> State:
    """Return a state with its arrays in place; raises InputError for one that names a file the manifest does not."""
    if depth > MAX_DEPTH:
        raise InputError("has too many levels", path=path, remedy=TAMPERED)
    unknown = [file for file in stored.arrays.values() if file not in arrays]
    if unknown:
        raise InputError(f"names {unknown[0]!r:.80}, which is not in the manifest", path=path, remedy=TAMPERED)
    parts = {name: restored_state(part, arrays, path, depth + 1) for name, part in stored.parts.items()}
    return State(stored.kind, stored.values, {name: arrays[file] for name, file in stored.arrays.items()}, parts)
