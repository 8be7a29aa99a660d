"""A model keeps the version of the vectors that it learnt from, and takes older tables but not newer ones."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest

from infraspectre import modelbook
from infraspectre.adapters.tables import TableFile
from infraspectre.axon import VECTOR
from infraspectre.cli import run
from infraspectre.errors import InputError
from infraspectre.modelbook.tables import suit


def table(names: list[str], rows: int = 300) -> pl.DataFrame:
    random = np.random.default_rng(0)
    hostile = np.arange(rows) % 3 == 0
    columns = {name: random.random(rows) + hostile * random.random(rows) for name in names}
    return pl.DataFrame(columns).with_columns(kind=pl.Series(np.where(hostile, "attack", "benign")))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table and a model of each version."""
    folder = tmp_path_factory.mktemp("vectors")
    for version in (1, 2):
        data = folder / f"v{version}.csv"
        table(VECTOR.names_of(version)).write_csv(data)
        options = ["--label", "kind", "--out", str(folder / f"m{version}"), "--quiet", "--no-trial"]
        assert run(["train", "--data", str(data), *options]) == 0
    return folder


def test_the_version_is_in_the_manifest_and_in_its_digest(desk: Path) -> None:
    for version in (1, 2):
        manifest = modelbook.described(str(desk / f"m{version}"))
        assert manifest.vector_version == version
        assert "vector_version" in manifest.unsigned()
        assert "vector_version" not in msgspec.structs.replace(manifest, vector_version=None).unsigned()


def test_a_table_of_version_1_is_taken_by_a_model_of_version_2(desk: Path) -> None:
    model = modelbook.open_model(str(desk / "m2"))
    assert modelbook.predict(model, desk / "v1.csv", desk / "out.csv") == 300
    renamed = TableFile(desk / "v1.csv")
    suit(renamed, model.manifest)
    (batch,) = renamed.batches(model.manifest.columns)
    old = pl.read_csv(desk / "v1.csv")
    assert batch["resp_host_degree_in"].to_list() == old["resp_host_orig_hosts"].to_list()
    assert batch["duration_ms"].null_count() == 300
    modelbook.evaluate(model, desk / "v1.csv", "kind", desk / "card")
    assert json.loads((desk / "card" / "report.json").read_text())["subject"]["label"] == "kind"


def test_a_table_of_version_2_is_refused_by_a_model_of_version_1(desk: Path) -> None:
    model = modelbook.open_model(str(desk / "m1"))
    with pytest.raises(InputError, match=r"vectors of version 2; the model was trained on version 1") as error:
        modelbook.predict(model, desk / "v2.csv", desk / "out.csv")
    assert str(desk / "v2.csv") in str(error.value)


def test_a_table_without_vectors_lacks_columns_as_before(desk: Path) -> None:
    table(["duration_ms"]).write_csv(desk / "other.csv")
    with pytest.raises(InputError, match="columns are missing"):
        modelbook.predict(modelbook.open_model(str(desk / "m2")), desk / "other.csv", desk / "out.csv")


def test_a_model_of_a_later_version_is_refused(desk: Path) -> None:
    model = modelbook.open_model(str(desk / "m2"))
    later = msgspec.structs.replace(
        model.manifest, vector_version=3, columns={**model.manifest.columns, "new": "number"}
    )
    with pytest.raises(InputError, match="version 2; the model was trained on version 3"):
        modelbook.predict(model._replace(manifest=later), desk / "v2.csv", desk / "out.csv")
