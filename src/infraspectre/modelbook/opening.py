"""Finding and opening models: by folder, built in, or in a registry; every digest and signature checked."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from infraspectre.errors import InputError, UsageError

if TYPE_CHECKING:
    from infraspectre.ml.detector import Model
    from infraspectre.ports import ModelStore
    from infraspectre.records.models import Manifest
    from infraspectre.settings import ModelSettings

    Config: TypeAlias = Path | ModelSettings | None
    """Where the registry is named: in a file of settings, in settings, or in those of the environment alone."""

BUILTIN = "builtin:"
REGISTRY = "registry:"
MLFLOW = "mlflow:"
BUILTIN_FOLDER = Path(__file__).parent.parent / "models"
KINDS = {
    "council": "infraspectre.ml.council:Council",
    "dga": "infraspectre.soma.text_models:GeneratedDomains",
    "dns-tunnel": "infraspectre.soma.text_models:TunnelNames",
    "http-parameters": "infraspectre.soma.text_models:Parameters",
    "sequence": "infraspectre.ml.sequence:SequenceModel",
}
"""Which class restores a model of each kind."""


class OpenModel(NamedTuple):
    """Holds a model that was read, and what its manifest says of it."""

    model: Model
    manifest: Manifest
    folder: Path


def place(name: str, config: Config = None) -> Path:
    """Return the folder that a name or path stands for; raises UsageError for a model that is not there."""
    if name.startswith(REGISTRY):
        return registered(name.removeprefix(REGISTRY), config)
    if not name.startswith(BUILTIN):
        return Path(name)
    wanted = name.removeprefix(BUILTIN)
    if wanted not in builtin_names():
        known = ", ".join(BUILTIN + each for each in builtin_names()) or "there is none in this build"
        raise UsageError(f"no built-in model is named {wanted!r}", remedy=f"choose from: {known}")
    return BUILTIN_FOLDER / wanted


def registered(name: str, config: Config = None) -> Path:
    """Return the folder of a registered model, `NAME`, `NAME@STAGE` or `NAME@VERSION`; without, that in production."""
    name, _, wanted = name.partition("@")
    wanted = wanted or "production"
    store = model_store(config)
    found = [each for each in store.history(name) if wanted in (each.stage, str(each.version))]
    if not found:
        remedy = f"see 'infraspectre models history {name}', and promote a version"
        raise UsageError(f"no version of {name} is {wanted[:40]!r}", remedy=remedy)
    return store.folder(name, found[-1].version)


def model_store(config: Config = None) -> ModelStore:
    """Return the registry of models that the settings name."""
    from infraspectre.config import data_folder, load
    from infraspectre.settings import ModelSettings, Settings

    chosen = (config if isinstance(config, ModelSettings) else load(Settings, config).models).registry
    if chosen.startswith(MLFLOW):
        from infraspectre.adapters.mlflow_registry import MlflowStore

        return MlflowStore(chosen.removeprefix(MLFLOW))
    from infraspectre.adapters.model_registry import LocalStore

    return LocalStore(Path(chosen) if chosen else data_folder() / "registry")


def builtin_names() -> list[str]:
    """Return the names of the models that come with the package."""
    if not BUILTIN_FOLDER.is_dir():
        return []
    return sorted(each.name for each in BUILTIN_FOLDER.iterdir() if (each / "manifest.json").is_file())


def model_class(kind: str) -> type[Model]:
    """Return the class of models of a kind; raises InputError for one that this version does not know."""
    if kind not in KINDS:
        raise InputError(f"is a model of the unknown kind {kind!r:.40}", remedy="it was made by another version")
    module, _, name = KINDS[kind].partition(":")
    found: type[Model] = getattr(import_module(module), name)
    return found


def open_model(name: str, config: Config = None) -> OpenModel:
    """Read a model, every digest and signature checked; raises InputError naming the file at fault."""
    from infraspectre.adapters.models import load_model

    folder = place(name, config)
    manifest, state = load_model(folder)
    require_trust(manifest, folder)
    try:
        model = model_class(manifest.kind).restore(state)
    except (KeyError, ValueError, TypeError, IndexError) as error:
        remedy = "train it anew with this version"
        raise InputError(f"does not hold a {manifest.kind}: {error!r}", path=folder, remedy=remedy) from error
    return OpenModel(model, manifest, folder)


def require_trust(manifest: Manifest, folder: Path, key: Path | None = None) -> None:
    """Raise InputError unless a model is signed by the key given, or that of the environment; without one, by anyone.

    Built-in models are as trusted as the package.
    """
    from infraspectre.adapters.models import MANIFEST
    from infraspectre.adapters.signing import require_signature, trusted_key

    trusted = key or trusted_key()
    if trusted is not None and (key or folder.parent != BUILTIN_FOLDER):
        require_signature(manifest, folder / MANIFEST, trusted)
