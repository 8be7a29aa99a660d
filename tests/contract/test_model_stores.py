"""Every registry of models keeps the same promises."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from infraspectre.adapters.model_registry import LocalStore
from infraspectre.adapters.models import load_model, save_model
from infraspectre.errors import InputError, UsageError
from infraspectre.ports import ModelStore
from infraspectre.records.models import DataFile
from model_fakes import MANIFEST, Line

FIRST, LATER = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"


@pytest.fixture(params=["local", "mlflow"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelStore:
    if request.param == "local":
        return LocalStore(tmp_path / "registry")
    pytest.importorskip("mlflow")
    from infraspectre.adapters.mlflow_registry import MlflowStore

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.chdir(tmp_path)
    return MlflowStore((tmp_path / "mlruns").as_uri())


def model(folder: Path, seed: int = 0) -> Path:
    manifest = replace(MANIFEST, created_at=FIRST, seed=seed, metrics={"accuracy": 0.5 + seed / 10})
    save_model(folder, manifest, Line().state())
    return folder


def test_a_version_comes_back_as_it_was_and_tells_its_lineage(store: ModelStore, tmp_path: Path) -> None:
    assert store.names() == []
    first = store.register(model(tmp_path / "a"), "flow", "candidate", FIRST)
    second = store.register(model(tmp_path / "b", 1), "flow", "candidate", LATER)
    assert (first.version, first.parent, second.version, second.parent) == (1, None, 2, first.content_id)
    assert second.data == [DataFile("a.csv", "0" * 64, 3)]
    assert second.metrics == {"accuracy": 0.6}
    assert store.history("flow") == [first, second]
    assert {path.name for path in tmp_path.iterdir()} <= {"a", "b", "registry", "mlruns"}
    assert load_model(store.folder("flow", 2))[0] == load_model(tmp_path / "b")[0]


def test_one_version_is_in_production(store: ModelStore, tmp_path: Path) -> None:
    store.register(model(tmp_path / "a"), "flow", "production", FIRST)
    store.register(model(tmp_path / "b", 1), "flow", "staging", FIRST)
    store.register(model(tmp_path / "c", 2), "other", "production", FIRST)
    moved = store.promote("flow", 2, "production", LATER)
    assert [(move.stage, move.at) for move in moved.moves] == [("staging", FIRST), ("production", LATER)]
    assert [each.stage for each in store.history("flow")] == ["archived", "production"]
    assert [each.stage for each in store.history("other")] == ["production"]
    assert store.names() == ["flow", "other"]
    assert store.register(model(tmp_path / "d", 3), "flow", "production", LATER).stage == "production"
    assert [each.stage for each in store.history("flow")] == ["archived", "archived", "production"]


def test_the_same_model_is_one_version(store: ModelStore, tmp_path: Path) -> None:
    store.register(model(tmp_path / "a"), "flow", "candidate", FIRST)
    again = store.register(model(tmp_path / "b"), "flow", "staging", LATER)
    assert (again.version, again.stage, len(store.history("flow"))) == (1, "staging", 1)


def test_what_is_not_there_is_named(store: ModelStore, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no model is registered as 'flow'"):
        store.history("flow")
    store.register(model(tmp_path / "a"), "flow", "candidate", FIRST)
    with pytest.raises(UsageError, match="flow has no version 2; choose from 1 to 1"):
        store.promote("flow", 2, "production", LATER)
    for name in ("../flow", "", "a b", "x'--"):
        with pytest.raises(UsageError, match="cannot be the name of a model"):
            store.register(tmp_path / "a", name, "candidate", FIRST)


def test_a_changed_model_is_not_registered(store: ModelStore, tmp_path: Path) -> None:
    folder = model(tmp_path / "a")
    (folder / "state.json").write_text("{}")
    with pytest.raises(InputError, match=r"state\.json: was changed"):
        store.register(folder, "flow", "candidate", FIRST)
    with pytest.raises(UsageError):
        store.history("flow")


def test_a_model_that_was_put_in_place_of_another_is_refused(store: ModelStore, tmp_path: Path) -> None:
    store.register(model(tmp_path / "a"), "flow", "candidate", FIRST)
    (kept,) = {path.parent for path in tmp_path.rglob("manifest.json")} - {tmp_path / "a"}
    model(kept, 5)
    with pytest.raises(InputError, match="holds another model than was registered"):
        store.folder("flow", 1)
