"""The registry of models in MLflow: each version is a run whose artifacts are the model directory."""

from __future__ import annotations

import atexit
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from infraspectre.adapters.model_registry import chosen, require_name, require_same
from infraspectre.adapters.models import load_model
from infraspectre.errors import InputError, UsageError
from infraspectre.records.models import DataFile, Move, Stage, Version

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "infraspectre"
ARTIFACTS = "model"
MOVES, CONTENT, PARENT, DATA, METRICS = (
    f"infraspectre.{name}" for name in ("moves", "content_id", "parent", "data", "metrics")
)
"""Tags of a version."""
NOT_THERE = "RESOURCE_DOES_NOT_EXIST"
MOST_VERSIONS = 10_000


class MlflowStore:
    """Keeps models in an MLflow tracking server, or wherever a tracking address leads."""

    def __init__(self, address: str) -> None:
        """Connect to an address, such as https://mlflow.example or file:///srv/mlruns.

        Raises UsageError without the package mlflow-skinny.
        """
        with speaking(address):
            self._client = client(address)
        self._address = address

    def register(self, folder: Path, name: str, stage: Stage, at: str) -> Version:
        """Keep a copy of a model directory as the next version of a name."""
        require_name(name)
        manifest, _ = load_model(folder)
        found = self._versions(name)
        same = [each for each in found if each.content_id == manifest.content_id]
        if same:
            return self.promote(name, same[0].version, stage, at)
        with speaking(self._address):
            if not found:
                self._require_registered(name)
            run = self._client.create_run(self._experiment(), run_name=name)
            self._client.log_artifacts(run.info.run_id, str(folder), ARTIFACTS)
            for metric, value in manifest.metrics.items():
                self._client.log_metric(run.info.run_id, metric, value)
            self._client.set_terminated(run.info.run_id)
            tags = {
                CONTENT: manifest.content_id,
                PARENT: found[-1].content_id if found else "",
                DATA: told(manifest.data),
                METRICS: told(manifest.metrics),
                MOVES: told([Move("candidate", at)] if stage == "production" else [Move(stage, at)]),
            }
            source = f"{run.info.artifact_uri}/{ARTIFACTS}"
            made = self._client.create_model_version(name, source, run.info.run_id, tags=tags)
        version = int(made.version)
        return self.promote(name, version, stage, at) if stage == "production" else self._version(name, version)

    def promote(self, name: str, version: int, stage: Stage, at: str) -> Version:
        """Move a version to a stage."""
        found = self.history(name)
        wanted = chosen(found, version)
        if stage == "production":
            for each in found:
                if each.stage == "production" and each.version != version:
                    self._move(each, "archived", at)
        self._move(wanted, stage, at)
        return self._version(name, version)

    def names(self) -> list[str]:
        """Return the names that have versions, sorted."""
        with speaking(self._address):
            found = self._client.search_model_versions(max_results=MOST_VERSIONS)
        return sorted({each.name for each in found if {MOVES, CONTENT} <= set(each.tags)})

    def history(self, name: str) -> list[Version]:
        """Return the versions of a name, the first one first."""
        require_name(name)
        found = self._versions(name)
        if not found:
            remedy = f"register one: infraspectre models register DIR --name {name}"
            raise UsageError(f"no model is registered as {name!r}", remedy=remedy)
        return found

    def folder(self, name: str, version: int) -> Path:
        """Return the directory of a version, which is fetched into one that lasts as long as this process."""
        wanted = self._version(name, version)
        place = tempfile.mkdtemp(prefix="infraspectre-")
        atexit.register(shutil.rmtree, place, ignore_errors=True)
        with speaking(self._address):
            made = self._client.get_model_version(name, str(version))
            folder = Path(self._client.download_artifacts(str(made.run_id), ARTIFACTS, place))
        require_same(folder, wanted)
        return folder

    def _version(self, name: str, version: int) -> Version:
        return chosen(self.history(name), version)

    def _move(self, version: Version, stage: Stage, at: str) -> None:
        moves = [*version.moves, Move(stage, at)]
        with speaking(self._address):
            self._client.set_model_version_tag(version.name, str(version.version), MOVES, told(moves))

    def _versions(self, name: str) -> list[Version]:
        with speaking(self._address):
            found = self._client.search_model_versions(f"name = '{name}'", max_results=MOST_VERSIONS)
        ours = [each for each in found if {MOVES, CONTENT} <= set(each.tags)]
        return sorted((known(each) for each in ours), key=lambda each: each.version)

    def _experiment(self) -> str:
        found = self._client.get_experiment_by_name(EXPERIMENT)
        return str(found.experiment_id if found else self._client.create_experiment(EXPERIMENT))

    def _require_registered(self, name: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.get_registered_model(name)
        except MlflowException as error:
            if error.error_code != NOT_THERE:
                raise
            self._client.create_registered_model(name)


def client(address: str) -> MlflowClient:
    """Return a client of MLflow; raises UsageError without it."""
    try:
        from mlflow import MlflowClient, set_registry_uri, set_tracking_uri
    except ImportError as error:
        remedy = "install it with: pip install 'infraspectre[mlflow]'"
        raise UsageError("a registry in MLflow needs the package mlflow-skinny", remedy=remedy) from error
    set_tracking_uri(address)  # else what asks for no address makes a database in the working directory
    set_registry_uri(address)
    return MlflowClient(tracking_uri=address, registry_uri=address)


@contextmanager
def speaking(address: str) -> Iterator[None]:
    """Translate failures of MLflow into InputError; its warnings about itself are not for users."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Exception as error:
        if not type(error).__module__.startswith("mlflow"):
            raise
        reason = next(iter(str(error).splitlines()), type(error).__name__)[:400]
        remedy = "see that the address is right and the server runs"
        raise InputError(f"MLflow cannot do that: {reason}", path=without_password(address), remedy=remedy) from error


def without_password(address: str) -> str:
    """Return an address without the name and password in it."""
    return re.sub(r"(?<=://)[^/@]*@", "", address)


def told(value: Any) -> str:
    """Return a value as the text of a tag."""
    return msgspec.json.encode(value).decode()


def known(found: Any) -> Version:
    """Return what the tags of a version say; raises InputError for tags that somebody else wrote."""
    tags = found.tags
    try:
        moves = msgspec.json.decode(tags[MOVES], type=Annotated[list[Move], msgspec.Meta(min_length=1)])
        return Version(
            str(found.name),
            int(found.version),
            tags[CONTENT],
            tags.get(PARENT) or None,
            msgspec.json.decode(tags.get(DATA, "[]"), type=list[DataFile]),
            msgspec.json.decode(tags.get(METRICS, "{}"), type=dict[str, float]),
            moves,
        )
    except msgspec.DecodeError as error:
        remedy = "register the model again under another name"
        raise InputError(f"the tags of version {found.version} cannot be read: {error}", remedy=remedy) from error
