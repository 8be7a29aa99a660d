"""Tables as models need them: of files or of captures, with labels, of older versions of the feature vector."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from infraspectre.errors import InputError
from infraspectre.modelbook.flows import require_flow_columns
from infraspectre.modelbook.opening import OpenModel

if TYPE_CHECKING:
    import polars as pl

    from infraspectre.adapters.tables import Table, TableFile
    from infraspectre.ml.detector import Progress
    from infraspectre.records.models import ColumnKind, Manifest


class about:  # noqa: N801 - reads as a statement
    """Adds the file to errors that know only the column."""

    def __init__(self, path: Path) -> None:
        """Remember the file."""
        self._path = path

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, InputError) and error.path is None:
            error.path = str(self._path)


def table_of(
    data: Path,
    label: str,
    *,
    model: OpenModel | None = None,
    kinds: Mapping[str, ColumnKind] | None = None,
    progress: Progress | None = None,
) -> tuple[Table, str | None]:
    """Read a table with labels, of files or of the flows of labelled captures; given a model, as that needs it.

    `kinds` are those of the columns wanted where there is no model; without, all columns are.
    Return also the column that tells which rows of captures belong together; none for other tables.
    """
    from infraspectre.adapters.tables import Table, read_table, sha256_of, table_files
    from infraspectre.learning.labelled_captures import CATALOGUE, FLOWS, group_column, holds_captures, labelled_flows
    from infraspectre.records.models import DataFile

    if holds_captures(data):
        frame = labelled_flows(data, label, progress)
        groups = group_column(frame)
        if (data / CATALOGUE).is_file():
            rows = {CATALOGUE: len(frame)}
        else:
            rows = {f"{place}/{FLOWS}": count for place, count in frame["capture"].value_counts(sort=True).iter_rows()}
        files = [DataFile(name, sha256_of(data / name), count) for name, count in sorted(rows.items())]
        return Table(frame.drop({"capture", "source"} - {groups}), files), groups
    if model is None:
        return read_table(data, kinds), None
    with about(data):
        wanted = columns_in(model, table_files(data)[0].names)
    return read_table(data, {**wanted, label: "text"}, partial(suit, manifest=model.manifest)), None


def rows_of(model: OpenModel, data: Path) -> Iterator[pl.DataFrame]:
    """Return, in parts, the rows of a table or the flows of a capture, as a model needs them."""
    from infraspectre.adapters.tables import TableFile
    from infraspectre.learning.labelled_captures import flow_batches, is_capture

    if is_capture(data):
        require_flow_columns(model, frozenset(model.model.columns))
        return flow_batches(data)
    table = TableFile(data)
    suit(table, model.manifest)
    return table.batches(columns_in(model, table.names))


def columns_in(model: OpenModel, names: Sequence[str]) -> dict[str, ColumnKind]:
    """Return the columns of a table that a model needs, each with its kind; models of texts know several names.

    Raises InputError where no column of a table holds the texts.
    """
    from infraspectre.ml.text import TextModel

    return {model.model.column_in(names): "text"} if isinstance(model.model, TextModel) else model.manifest.columns


def labelled(frame: pl.DataFrame, label: str) -> pl.DataFrame:
    """Return a table whose labels are texts, as predictions have them; raises InputError where there are none."""
    from infraspectre.adapters.tables import texts
    from infraspectre.learning.training import require_label

    require_label(frame, label)
    return frame.with_columns(texts(frame[label]))


def column_kind(column: pl.Series) -> ColumnKind:
    """Return of which kind a column is."""
    import polars as pl

    if column.dtype == pl.List:
        return "list"
    return "number" if column.dtype.is_numeric() or column.dtype == pl.Boolean else "text"


def suit(table: TableFile, manifest: Manifest) -> None:
    """Give a table of older feature vectors the features that a model needs; those that were added are unknown.

    Raises InputError naming the versions where the model is of an older or of an unknown one.
    """
    if manifest.vector_version is None or {*manifest.columns} <= {*table.names}:
        return
    from infraspectre.axon import VECTOR

    version = VECTOR.version_of(table.names)
    if version is None or version == manifest.vector_version:
        return
    if manifest.vector_version == VECTOR.version and version < VECTOR.version:
        table.change(lambda rows: VECTOR.migrate(rows, version))
        return
    problem = f"holds feature vectors of version {version}; the model was trained on version {manifest.vector_version}"
    raise InputError(problem, path=table.path, remedy=f"train it anew on vectors of version {VECTOR.version}")


def vector_version(columns: Sequence[str]) -> int | None:
    """Return the version of the feature vector that columns hold, if they do."""
    from infraspectre.axon import VECTOR

    return VECTOR.version_of(columns)
