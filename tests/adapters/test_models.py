"""Model directories come back as they were, and whatever was changed in one is refused by name."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from infraspectre.adapters.models import content_id, load_manifest, load_model, save_model, write_manifest
from infraspectre.adapters.signing import make_key, require_signature, sign
from infraspectre.errors import InputError, OutputError, UsageError
from infraspectre.ml.detector import State
from model_fakes import MANIFEST, Line


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_model(tmp_path / "model", MANIFEST, Line().state())
    return tmp_path / "model"


def rewritten(folder: Path, **changes: Any) -> None:
    """Change a manifest as somebody would who also mends its content id."""
    manifest = msgspec.structs.replace(load_manifest(folder), **changes)
    write_manifest(folder, msgspec.structs.replace(manifest, content_id=content_id(manifest)))


def same(one: State, other: State) -> bool:
    arrays = one.arrays.keys() == other.arrays.keys() and all(
        np.array_equal(one.arrays[name], other.arrays[name]) and one.arrays[name].dtype == other.arrays[name].dtype
        for name in one.arrays
    )
    parts = one.parts.keys() == other.parts.keys() and all(
        same(one.parts[name], other.parts[name]) for name in one.parts
    )
    return (one.kind, one.values) == (other.kind, other.values) and arrays and parts


def test_a_model_comes_back_as_it_was(folder: Path) -> None:
    manifest, state = load_model(folder)
    assert same(state, Line().state())
    assert (manifest.name, manifest.seed, manifest.data) == ("line", 7, MANIFEST.data)


def test_the_same_model_has_the_same_content_id_and_another_another(folder: Path, tmp_path: Path) -> None:
    again = save_model(tmp_path / "again", MANIFEST, Line().state())
    other = save_model(tmp_path / "other", MANIFEST, Line("y").state())
    assert again.content_id == load_manifest(folder).content_id != other.content_id


def test_a_model_takes_the_place_of_one_that_was_there(folder: Path) -> None:
    save_model(folder, MANIFEST, State("line", {"column": "y"}))
    assert load_model(folder)[1].values == {"column": "y"}
    assert not list((folder / "arrays").iterdir())


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="holds other things"):
        save_model(tmp_path, MANIFEST, Line().state())
    assert [each.name for each in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("name", [".state.json.partial", ".manifest.json.partial", "arrays/.0000.npy.partial"])
def test_what_a_killed_training_left_gives_way(folder: Path, name: str) -> None:
    (folder / "manifest.json").unlink()
    (folder / name).write_bytes(b"half")
    save_model(folder, MANIFEST, Line().state())
    assert not (folder / name).exists()
    assert same(load_model(folder)[1], Line().state())


def test_empty_fields_that_came_later_do_not_count_for_the_id() -> None:
    assert content_id(MANIFEST) == "3f513cac2a1068b511d44837742091025be480d7d61745eed7a2d9a09a350a62"
    assert content_id(msgspec.structs.replace(MANIFEST, folds=[{"rows": 1.0}])) != content_id(MANIFEST)


@pytest.mark.parametrize("name", ["state.json", "arrays/0000.npy", "arrays/0001.npy"])
def test_a_changed_file_is_named(folder: Path, name: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[-2] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(InputError, match=rf"{name}: was changed"):
        load_model(folder)


@pytest.mark.parametrize("name", ["state.json", "arrays/0001.npy"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(InputError, match=rf"{name}: cannot be read"):
        load_model(folder)


def test_a_changed_manifest_is_refused(folder: Path) -> None:
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(text.replace('"seed": 7', '"seed": 8'))
    with pytest.raises(InputError, match=r"manifest\.json: was changed"):
        load_model(folder)


def test_an_unfinished_model_is_refused(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    with pytest.raises(InputError, match="has no manifest"):
        load_model(folder)


def test_another_version_is_refused_with_a_remedy(folder: Path) -> None:
    told = json.loads((folder / "manifest.json").read_text()) | {"format": 99, "novelty": 1}
    (folder / "manifest.json").write_text(json.dumps(told))
    with pytest.raises(InputError, match="has format 99; this version reads format 1"):
        load_model(folder)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": 1}', "[" * 100_000])
def test_what_is_no_manifest_is_refused(folder: Path, text: str) -> None:
    (folder / "manifest.json").write_text(text)
    with pytest.raises(InputError, match=r"manifest\.json"):
        load_model(folder)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "arrays/../../x.npy", "arrays/0000.npy\n"])
def test_no_file_outside_is_read(folder: Path, name: str) -> None:
    rewritten(folder, files={**load_manifest(folder).files, name: "0" * 64})
    with pytest.raises(InputError, match="names a file that no model has"):
        load_model(folder)


def replaced_array(folder: Path, data: bytes) -> None:
    """Put bytes in place of an array, with the digest that belongs to them."""
    (folder / "arrays/0000.npy").write_bytes(data)
    rewritten(folder, files={**load_manifest(folder).files, "arrays/0000.npy": hashlib.sha256(data).hexdigest()})


class Trap:
    """Fails the test when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("unpickled",))


def test_nothing_is_unpickled(folder: Path) -> None:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.array([Trap()], dtype=object), allow_pickle=True)
    replaced_array(folder, buffer.getvalue())
    with pytest.raises(InputError, match=r"0000\.npy: is not an array"):
        load_model(folder)
    replaced_array(folder, pickle.dumps(Trap()))
    with pytest.raises(InputError, match=r"0000\.npy: is not an array"):
        load_model(folder)


def test_an_array_takes_no_more_memory_than_its_file(folder: Path) -> None:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f8", "fortran_order": False, "shape": (1 << 40,)})
    replaced_array(folder, buffer.getvalue())
    with pytest.raises(InputError, match="does not agree with its size"):
        load_model(folder)


def test_a_state_names_only_arrays_of_the_manifest(folder: Path) -> None:
    files = load_manifest(folder).files
    rewritten(folder, files={name: digest for name, digest in files.items() if name != "arrays/0001.npy"})
    with pytest.raises(InputError, match="not in the manifest"):
        load_model(folder)


def test_a_signed_model_is_that_of_its_signer_alone(folder: Path, tmp_path: Path) -> None:
    ours, others = (make_key(tmp_path / name) for name in ("ours", "others"))
    assert (tmp_path / "ours").stat().st_mode & 0o077 == 0
    write_manifest(folder, sign(load_manifest(folder), tmp_path / "ours"))
    manifest, _ = load_model(folder)
    require_signature(manifest, folder, ours)
    with pytest.raises(InputError, match="is not signed by the key"):
        require_signature(manifest, folder, others)


def test_a_signature_does_not_hold_for_another_model(folder: Path, tmp_path: Path) -> None:
    make_key(tmp_path / "key")
    write_manifest(folder, sign(load_manifest(folder), tmp_path / "key"))
    rewritten(folder, seed=8)
    with pytest.raises(InputError, match="has a bad signature"):
        load_model(folder)


def test_the_key_comes_from_the_environment_or_from_nowhere(folder: Path, tmp_path: Path, monkeypatch: Any) -> None:
    with pytest.raises(UsageError, match="INFRASPECTRE_MODEL_KEY"):
        sign(load_manifest(folder), None)
    make_key(tmp_path / "key")
    monkeypatch.setenv("INFRASPECTRE_MODEL_KEY", (tmp_path / "key").read_text())
    assert sign(load_manifest(folder), None).signature == sign(load_manifest(folder), tmp_path / "key").signature
    monkeypatch.setenv("INFRASPECTRE_MODEL_KEY", "nonsense")
    with pytest.raises(InputError, match="is no private key"):
        sign(load_manifest(folder), None)


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    make_key(tmp_path / "key")
    with pytest.raises(UsageError, match="is there already"):
        make_key(tmp_path / "key")
