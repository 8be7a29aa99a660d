"""The composition root of models: tables and model directories in; models, judgements and report cards out."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from infraspectre.errors import InputError, UsageError
from infraspectre.files import make_folder, whole_file, write_whole

if TYPE_CHECKING:
    import polars as pl

    from infraspectre.adapters.checkpoints import Checkpoints
    from infraspectre.learning.report_card import ReportCard
    from infraspectre.learning.training import Trained
    from infraspectre.ml.detector import Judgement, Model
    from infraspectre.records.models import ColumnKind, Manifest, Task

BUILTIN = "builtin:"
BUILTIN_FOLDER = Path(__file__).parent / "models"
KINDS = {
    "council": "infraspectre.ml.council:Council",
    "dga": "infraspectre.soma.text_models:GeneratedDomains",
    "dns-tunnel": "infraspectre.soma.text_models:TunnelNames",
    "http-parameters": "infraspectre.soma.text_models:Parameters",
    "sequence": "infraspectre.ml.sequence:SequenceModel",
}
"""Which class restores a model of each kind."""
HEADER = ("row", "label", "score", "probability", "low", "high")

Kind = Literal["council", "sequence", "sequence-large"]
"""What learns from any table, or from lists of packets."""
UNFINISHED = ".unfinished"
"""Ends the name of the folder, beside that of the model, in which an interrupted training finds how far it came."""
Progress = Callable[[str, float], None]
"""Is told what was done last, and the share of the work that is done."""


class OpenModel(NamedTuple):
    """Holds a model that was read, and what its manifest says of it."""

    model: Model
    manifest: Manifest
    folder: Path


def place(name: str) -> Path:
    """Return the folder that a name or path stands for; raises UsageError for a built-in model that is not there."""
    if not name.startswith(BUILTIN):
        return Path(name)
    wanted = name.removeprefix(BUILTIN)
    if wanted not in builtin_names():
        known = ", ".join(BUILTIN + each for each in builtin_names()) or "there is none in this build"
        raise UsageError(f"no built-in model is named {wanted!r}", remedy=f"choose from: {known}")
    return BUILTIN_FOLDER / wanted


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


def open_model(name: str) -> OpenModel:
    """Read a model, every digest and signature checked; raises InputError naming the file at fault."""
    from infraspectre.adapters.models import load_model

    folder = place(name)
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


def train(
    data: Path,
    label: str,
    out: Path,
    *,
    task: Task = "classify",
    seed: int = 0,
    drop: Sequence[str] = (),
    with_trial: bool = True,
    kind: Kind = "council",
    created_at: str,
    progress: Progress | None = None,
) -> tuple[Manifest, Trained]:
    """Learn a model from a table with labels and write its directory."""
    from infraspectre.adapters.checkpoints import Checkpoints
    from infraspectre.adapters.models import save_model
    from infraspectre.adapters.tables import read_table
    from infraspectre.learning import training
    from infraspectre.records.models import Manifest

    checkpoints = Checkpoints(out.with_name(out.name + UNFINISHED), label, seed)
    learn = learner(kind, label, task, seed, progress, checkpoints)
    table = read_table(data, learnt_columns(kind, label))
    with about(data):
        frame = labelled(without(table.frame, drop), label)
        if task == "classify":
            training.require_classes(frame, label)
        trained = training.train(frame, label, learn, with_trial=with_trial, seed=seed)
    model = trained.model
    manifest = Manifest(
        name=out.name,
        kind=model.kind,
        task=task,
        label=label,
        columns={name: column_kind(frame[name]) for name in model.columns},
        classes=model.classes,
        created_at=created_at,
        seed=seed,
        data=table.files,
        metrics=trained.metrics,
        thresholds=trained.thresholds,
        warnings=[leak.text for leak in trained.leaks],
    )
    manifest = save_model(out, manifest, model.state())
    checkpoints.remove()
    return manifest, trained


def build(name: str, data: Path, out: Path, created_at: str) -> Manifest:
    """Learn a built-in model again from a folder of public data; raise InputError naming a file that is missing."""
    from infraspectre.adapters.models import save_model
    from infraspectre.adapters.tables import sha256_of
    from infraspectre.learning.builtin import RECIPES, train
    from infraspectre.records.models import DataFile, Manifest, Threshold

    if name not in RECIPES:
        raise UsageError(f"no built-in model is named {name!r}", remedy=f"choose from: {', '.join(RECIPES)}")
    recipe = RECIPES[name]
    model = train(name, data)
    manifest = Manifest(
        name=name,
        kind=model.kind,
        task="classify",
        label="",
        columns=dict.fromkeys(model.columns, "text"),
        classes=model.classes,
        created_at=created_at,
        seed=recipe.settings.seed,
        data=[DataFile(file, sha256_of(data / file)) for file in recipe.files],
        thresholds=[Threshold(recipe.settings.false_positive_rate, model.limit)],
    )
    return save_model(out, manifest, model.state())


class about:  # noqa: N801 - reads as a statement
    """Adds the file to errors that know only the column."""

    def __init__(self, path: Path) -> None:
        """Remember the file."""
        self._path = path

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, InputError) and error.path is None:
            error.path = str(self._path)


def without(frame: pl.DataFrame, drop: Sequence[str]) -> pl.DataFrame:
    """Return a table without some columns; raises InputError for one that it does not have."""
    for name in drop:
        if name not in frame.columns:
            raise InputError("there is no such column to drop", field=name, remedy="leave out its --drop")
    return frame.drop(drop)


def learnt_columns(kind: Kind, label: str) -> dict[str, ColumnKind] | None:
    """Return the columns that a kind of models learns from; None for all that there are."""
    if kind == "council":
        return None
    from infraspectre.ml.sequence import COLUMNS

    return {**dict.fromkeys(COLUMNS, "list"), label: "text"}


def learner(
    kind: str, label: str, task: Task, seed: int, progress: Progress | None, checkpoints: Checkpoints | None = None
) -> Callable[[pl.DataFrame], Model]:
    """Return what learns a model of a kind from a table; raises UsageError for what cannot be learnt here."""
    if kind == "council":
        return council_learner(label, task, seed, progress)
    return sequence_learner(kind, label, task, seed, progress, checkpoints)


def sequence_learner(
    kind: str, label: str, task: Task, seed: int, progress: Progress | None, checkpoints: Checkpoints | None
) -> Callable[[pl.DataFrame], Model]:
    """Return what learns a model of packet sequences; raises UsageError where JAX is not installed."""
    if task != "classify":
        raise UsageError("a model of packet sequences needs labels", remedy="use --kind council for --task anomaly")
    try:
        from infraspectre.ml import sequence_training
    except ImportError as error:
        remedy = "install what is missing with: pip install 'infraspectre[deep]'"
        raise UsageError(f"a model of packet sequences is trained with JAX: {error}", remedy=remedy) from error
    profile = sequence_training.PROFILES[kind]

    def learn(frame: pl.DataFrame) -> Model:
        return sequence_training.learn(frame, label, profile=profile, seed=seed, progress=progress, shelf=checkpoints)

    return learn


def council_learner(label: str, task: Task, seed: int, progress: Progress | None) -> Callable[[pl.DataFrame], Model]:
    """Return what learns a council from a table."""
    council: Any = model_class("council")

    def learn(frame: pl.DataFrame) -> Model:
        learnt: Model = council.learn(frame, label, task=task, seed=seed, progress=progress)
        return learnt

    return learn


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


def predict(model: OpenModel, data: Path, out: Path) -> int:
    """Write what a model says of each row of a table, in their order, as CSV; return the number of rows."""
    from infraspectre.adapters.tables import TableFile

    table = TableFile(data)
    done = 0
    with whole_file(out) as file, about(data):
        file.write((",".join(HEADER) + "\r\n").encode())
        for batch in table.batches(model.manifest.columns):
            file.write(prediction_lines(model.model.judge(batch), done))
            done += len(batch)
    return done


def prediction_lines(judgement: Judgement, first: int) -> bytes:
    """Return judgements as lines of CSV (RFC 4180); rows count from 0."""
    text = io.StringIO()
    numbers = (judgement.scores, judgement.probabilities, judgement.low, judgement.high)
    rows = zip(judgement.labels, *(each.tolist() for each in numbers), strict=True)
    csv.writer(text).writerows((first + place, *row) for place, row in enumerate(rows))
    return text.getvalue().encode()


def evaluate(
    model: OpenModel, data: Path, label: str, out: Path, *, training: Path | None = None, seed: int = 0
) -> ReportCard:
    """Judge a table with labels and write report.json and report.html into a folder.

    With the table that the model was trained on, models are trained anew to tell what seeds, a random split and
    attacks that were never seen do to the figures.
    """
    from infraspectre.adapters.results import json_document
    from infraspectre.adapters.tables import read_table
    from infraspectre.learning.leakage import leaks
    from infraspectre.learning.report_card import Subject, report_card
    from infraspectre.report import render_card

    manifest = model.manifest
    table = read_table(data, frame_kinds(manifest, label))
    subject = Subject(manifest.name, manifest.content_id, label, manifest.classes[0], table.files)
    with about(data):
        frame = labelled(table.frame, label)
        judgement = model.model.judge(frame.drop(label))
        card = report_card(frame, judgement, subject, manifest.thresholds, leaks(frame, label), seed=seed)
    if training is not None:
        card = compared(
            card, frame, labelled(read_table(training, frame_kinds(manifest, label)).frame, label), manifest
        )
    make_folder(out)
    write_whole(out / "report.json", json_document(card))
    render_card(card, out / "report.html")
    return card


def frame_kinds(manifest: Manifest, label: str) -> dict[str, ColumnKind]:
    """Return the columns of a model and that of the label, each with its kind."""
    return {**manifest.columns, label: "text"}


def compared(card: ReportCard, judged: pl.DataFrame, learnt: pl.DataFrame, manifest: Manifest) -> ReportCard:
    """Return a report card with what only retraining tells."""
    from msgspec.structs import replace

    from infraspectre.learning.leakage import overlap
    from infraspectre.learning.retraining import left_out, retrained

    label = card.subject.label

    def learn(frame: pl.DataFrame, seed: int) -> Model:
        return learner(manifest.kind, label, manifest.task, seed, None)(frame)

    return replace(
        card,
        overlap=overlap(learnt, judged, label),
        retrained=list(retrained(learnt, judged, label, learn)),
        left_out=list(left_out(learnt, judged, label, card.subject.benign, learn)),
    )


def listed() -> Iterator[tuple[str, Manifest]]:
    """Yield the names and manifests of the models that come with the package."""
    from infraspectre.adapters.models import load_manifest

    for name in builtin_names():
        yield BUILTIN + name, load_manifest(BUILTIN_FOLDER / name)


def verified(name: str, key: Path | None) -> Manifest:
    """Return the manifest of a model after all its files were checked, and, with a key, who signed it."""
    from infraspectre.adapters.models import load_model

    folder = place(name)
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


def described(name: str) -> Manifest:
    """Return what a model says of itself."""
    from infraspectre.adapters.models import load_manifest

    return load_manifest(place(name))


def new_key(path: Path) -> Path:
    """Write a new key to sign models with, and beside it the public one, whose path is returned."""
    from infraspectre.adapters.signing import make_key

    return make_key(path)
