"""Keeping models: what they say of themselves, signatures and keys, versions and stages in a registry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from infraspectre.modelbook.opening import BUILTIN, BUILTIN_FOLDER, builtin_names, model_store, place, require_trust

if TYPE_CHECKING:
    from infraspectre.modelbook.opening import Config
    from infraspectre.records.models import Manifest, Stage, Version


def listed() -> Iterator[tuple[str, Manifest]]:
    """Yield the names and manifests of the models that come with the package."""
    from infraspectre.adapters.models import load_manifest

    for name in builtin_names():
        yield BUILTIN + name, load_manifest(BUILTIN_FOLDER / name)


def described(name: str, config: Config = None) -> Manifest:
    """Return what a model says of itself."""
    from infraspectre.adapters.models import load_manifest

    return load_manifest(place(name, config))


def verified(name: str, key: Path | None, config: Config = None) -> Manifest:
    """Return the manifest of a model after all its files were checked, and, with a key, who signed it."""
    from infraspectre.adapters.models import load_model

    folder = place(name, config)
    manifest, _ = load_model(folder)
    require_trust(manifest, folder, key)
    return manifest


def signed(folder: Path, key: Path | None) -> Manifest:
    """Sign a model directory, all of whose files are checked before, and return its manifest."""
    from infraspectre.adapters.models import load_model, write_manifest
    from infraspectre.adapters.signing import sign

    manifest, _ = load_model(folder)
    manifest = sign(manifest, key)
    write_manifest(folder, manifest)
    return manifest


def new_key(path: Path) -> Path:
    """Write a new key to sign models with, and beside it the public one, whose path is returned."""
    from infraspectre.adapters.signing import make_key

    return make_key(path)


def register(folder: Path, name: str, stage: Stage, at: str, config: Config = None) -> Version:
    """Keep a model directory in the registry, every file and its signature checked, and return its version."""
    require_trust(described(str(folder)), folder)
    return model_store(config).register(folder, name, stage, at)


def promote(name: str, version: int, stage: Stage, at: str, config: Config = None) -> Version:
    """Move a registered version to a stage and return it; all its files are checked before."""
    from infraspectre.adapters.models import load_model

    store = model_store(config)
    folder = store.folder(name, version)
    manifest, _ = load_model(folder)
    require_trust(manifest, folder)
    return store.promote(name, version, stage, at)


def history(name: str, config: Config = None) -> list[Version]:
    """Return the registered versions of a model, the first one first."""
    return model_store(config).history(name)


def registered(config: Config = None) -> list[str]:
    """Return the names of the models in the registry, sorted."""
    return model_store(config).names()
