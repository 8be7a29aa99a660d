"""The composition root of models: tables and model directories in; models, judgements and report cards out."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from infraspectre.errors import InputError, UsageError
from infraspectre.files import WholeFile, make_folder, whole_file, write_whole

if TYPE_CHECKING:
    import polars as pl

    from infraspectre.adapters.checkpoints import States
    from infraspectre.adapters.tables import Table, TableFile
    from infraspectre.learning.report_card import ReportCard
    from infraspectre.learning.training import Plan, Trained
    from infraspectre.learning.trials import Keep, Learn
    from infraspectre.ml.council import Anomaly, CouncilSettings
    from infraspectre.ml.detector import Explains, Judgement, Model
    from infraspectre.ports import ModelStore
    from infraspectre.records.models import ColumnKind, Manifest, Stage, Task, Version
    from infraspectre.soma.models import ModelDetector

BUILTIN = "builtin:"
FLOW = "flow"
"""The built-in model that judges flows."""
REGISTRY = "registry:"
MLFLOW = "mlflow:"
FLOW_RATE = 0.001
"""Share of benign flows that may count as hostile in an analysis, if a model knows the threshold: hosts have many."""
BUILTIN_FOLDER = Path(__file__).parent / "models"
KINDS = {
    "council": "infraspectre.ml.council:Council",
    "dga": "infraspectre.soma.text_models:GeneratedDomains",
    "dns-tunnel": "infraspectre.soma.text_models:TunnelNames",
    "http-parameters": "infraspectre.soma.text_models:Parameters",
    "sequence": "infraspectre.ml.sequence:SequenceModel",
}
"""Which class restores a model of each kind."""
EXPLAINED_AT_ONCE = 1_024
"""Rows whose explanations are in memory together."""
NOVEL = "novel"
"""Label of hostile rows that no known class fits, where that is asked for."""
HEADER = ("row", "label", "score", "probability", "low", "high")

COUNCIL = "council"
Kind = Literal["council", "sequence", "sequence-large"]
"""What learns from any table, or from lists of packets."""
Progress = Callable[[str, float], None]
"""Is told what was done last, and the share of the work that is done."""


class OpenModel(NamedTuple):
    """Holds a model that was read, and what its manifest says of it."""

    model: Model
    manifest: Manifest
    folder: Path


def place(name: str, config: Path | None = None) -> Path:
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


def registered(name: str, config: Path | None = None) -> Path:
    """Return the folder of a registered model, `NAME`, `NAME@STAGE` or `NAME@VERSION`; without, that in production."""
    name, _, wanted = name.partition("@")
    wanted = wanted or "production"
    store = model_store(config)
    found = [each for each in store.history(name) if wanted in (each.stage, str(each.version))]
    if not found:
        remedy = f"see 'infraspectre models history {name}', and promote a version"
        raise UsageError(f"no version of {name} is {wanted[:40]!r}", remedy=remedy)
    return store.folder(name, found[-1].version)


def model_store(config: Path | None = None) -> ModelStore:
    """Return the registry of models that the settings name."""
    from infraspectre.config import data_folder, load
    from infraspectre.settings import Settings

    chosen = load(Settings, config).models.registry
    if chosen.startswith(MLFLOW):
        from infraspectre.adapters.mlflow_registry import MlflowStore

        return MlflowStore(chosen.removeprefix(MLFLOW))
    from infraspectre.adapters.model_registry import LocalStore

    return LocalStore(Path(chosen) if chosen else data_folder() / "registry")


def register(folder: Path, name: str, stage: Stage, at: str, config: Path | None = None) -> Version:
    """Keep a model directory in the registry, every file and its signature checked, and return its version."""
    require_trust(described(str(folder)), folder)
    return model_store(config).register(folder, name, stage, at)


def promote(name: str, version: int, stage: Stage, at: str, config: Path | None = None) -> Version:
    """Move a registered version to a stage and return it; all its files are checked before."""
    from infraspectre.adapters.models import load_model

    store = model_store(config)
    folder = store.folder(name, version)
    manifest, _ = load_model(folder)
    require_trust(manifest, folder)
    return store.promote(name, version, stage, at)


def history(name: str, config: Path | None = None) -> list[Version]:
    """Return the registered versions of a model, the first one first."""
    return model_store(config).history(name)


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


def open_model(name: str, config: Path | None = None) -> OpenModel:
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


def flow_detector(name: str) -> ModelDetector:
    """Return what shows flows to a model; raises InputError for one that needs a column that flows do not have."""
    from infraspectre.soma.models import ModelDetector, needed_columns

    opened = open_model(name)
    require_flow_columns(opened, needed_columns(opened.model.columns))
    known = [each.score for each in opened.manifest.thresholds if each.false_positive_rate <= FLOW_RATE]
    shown = name if name.startswith(BUILTIN) else opened.manifest.name
    return ModelDetector(shown, opened.model, least=max(known, default=-math.inf))


def require_flow_columns(opened: OpenModel, needed: frozenset[str]) -> None:
    """Raise InputError naming the columns that a model needs and flows do not have, or have of another kind."""
    known = flow_columns()
    missing = sorted(needed - known.keys())
    if missing:
        named = ", ".join(missing[:10]) + (f" and {len(missing) - 10} more" if len(missing) > 10 else "")
        remedy = "train it on flows, as 'infraspectre flows' writes them"
        raise InputError(f"judges rows with columns that flows do not have: {named}", path=opened.folder, remedy=remedy)
    kinds = opened.manifest.columns
    for column in sorted(needed & kinds.keys()):
        if known[column] != kinds[column]:
            message = f"takes this column for a {kinds[column]}; in flows it is a {known[column]}"
            raise InputError(message, path=opened.folder, field=column, remedy="train it on flows")


def flow_columns() -> dict[str, str]:
    """Return the columns by which models can judge flows, each with its kind: those of flows and those of Axon."""
    from infraspectre._core import feature_schema
    from infraspectre.axon import FEATURES

    kinds = {feature["name"]: flow_column_kind(feature["dtype"]) for feature in feature_schema()}
    return kinds | {feature.name: "number" for feature in FEATURES}


def flow_column_kind(dtype: str) -> str:
    """Return the kind of a column of flows by its type in the schema."""
    if dtype.startswith("list"):
        return "list"
    return "text" if dtype == "str" else "number"


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
    detector: Anomaly = "ensemble",
    drop: Sequence[str] = (),
    kind: Kind = "council",
    plan: Plan | None = None,
    device: Literal["auto", "cpu", "cuda"] = "cpu",
    created_at: str,
    progress: Progress | None = None,
) -> tuple[Manifest, Trained]:
    """Learn a model from a table with labels, or from a folder of labelled captures, and write its directory.

    What was measured outlives an interruption. Raises UsageError for options that a kind of models does not take, for
    JAX and for a GPU that are not there.
    """
    from msgspec.structs import replace

    from infraspectre import __version__
    from infraspectre.adapters.checkpoints import Checkpoint
    from infraspectre.adapters.models import save_model
    from infraspectre.learning import training
    from infraspectre.learning.splitting import TRIAL_PARTS
    from infraspectre.ml.council import USUAL, on_device
    from infraspectre.records.models import Manifest

    plan = plan or training.Plan()
    if plan.search is not None and task == "anomaly":
        raise UsageError("no settings are searched for the task anomaly", remedy="leave out --search, --search-time")
    usual = on_device(replace(USUAL, anomaly=detector), chosen_device(device))
    if kind != COUNCIL:
        require_sequences(data, task, plan, usual)
    table, groups = table_of(data, label, kinds=learnt_columns(kind, label, plan), progress=progress)
    if groups and not plan.split.columns and table.frame[groups].n_unique() >= TRIAL_PARTS:
        plan = replace(plan, split=replace(plan.split, group=groups))
    elif groups and groups not in plan.split.columns:
        table = table._replace(frame=table.frame.drop(groups))
    with about(data):
        frame = labelled(without(table.frame, drop), label)
        frame = flat(frame) if kind == COUNCIL else frame
        if task == "classify":
            training.require_classes(frame, label)
        cause = [__version__, table.files, label, task, kind, sorted(drop), plan.split, plan.seed, usual]
        checkpoint = Checkpoint(out, cause)
        stages = Stages(progress, plan.fits)
        learn = (
            council_learner(label, task, plan.seed, stages, plan.split.group)
            if kind == COUNCIL
            else sequence_learner(kind, label, plan.seed, stages, checkpoint.states)
        )
        trained = training.train(frame, label, learn, plan, usual=usual, keep=stages.passing(checkpoint.keep))
    model = trained.model
    manifest = Manifest(
        name=out.name,
        kind=model.kind,
        task=task,
        label=label,
        columns={name: column_kind(frame[name]) for name in model.columns},
        classes=model.classes,
        created_at=created_at,
        seed=plan.seed,
        data=table.files,
        metrics=trained.metrics,
        folds=trained.folds,
        settings=different(trained.settings, USUAL),
        thresholds=trained.thresholds,
        warnings=[leak.text for leak in trained.leaks],
        vector_version=vector_version(frame.columns),
    )
    manifest = save_model(out, manifest, model.state())
    checkpoint.end()
    return manifest, trained


def chosen_device(wanted: Literal["auto", "cpu", "cuda"]) -> Literal["cpu", "cuda"]:
    """Return where trees are grown; raises UsageError for a GPU that is not there or cannot be used."""
    from infraspectre.ml.boosting import has_gpu

    if wanted == "cpu" or (wanted == "auto" and not has_gpu()):
        return "cpu"
    if not has_gpu():
        remedy = "install xgboost in place of xgboost-cpu on a machine with an NVIDIA GPU, or leave out --device"
        raise UsageError("trees cannot be grown on a GPU here", remedy=remedy)
    return "cuda"


def different(settings: CouncilSettings, usual: CouncilSettings) -> dict[str, Any]:
    """Return those settings, as plain values, that are not the usual ones."""
    import msgspec

    told, known = msgspec.to_builtins(settings), msgspec.to_builtins(usual)
    return {name: value for name, value in told.items() if value != known[name]}


class Stages:
    """Tells of the progress of a training as a whole, in which models are learnt one after another."""

    def __init__(self, progress: Progress | None, fits: int) -> None:
        """Remember who is told, and how many models are to be learnt."""
        self._progress, self._fits, self._done = progress, fits, 0

    def within(self) -> Progress | None:
        """Return who is told of the progress of the next model."""
        if self._progress is None:
            return None
        told, done, fits = self._progress, self._done, max(self._fits, self._done + 1)
        self._done += 1
        return lambda step, share: told(f"model {done + 1} of {fits}: {step}", (done + share) / fits)

    def passing(self, keep: Keep) -> Keep:
        """Return what keeps figures, and tells of those that were kept from before as done."""

        def kept(name: str, compute: Callable[[], dict[str, float]]) -> dict[str, float]:
            before = self._done
            figures = keep(name, compute)
            if self._done == before:
                self._fits = max(self._fits - 1, 1)
            return figures

        return kept


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


def build(name: str, data: Path, out: Path, created_at: str) -> Manifest:
    """Learn a built-in model again from a folder of public data; raise InputError naming a file that is missing."""
    if name == FLOW:
        return build_flow(data, out, created_at)
    from infraspectre.adapters.models import save_model
    from infraspectre.adapters.tables import sha256_of
    from infraspectre.learning.builtin import RECIPES, train
    from infraspectre.records.models import DataFile, Manifest, Threshold

    if name not in RECIPES:
        raise UsageError(f"no built-in model is named {name!r}", remedy=f"choose from: {', '.join((*RECIPES, FLOW))}")
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


def build_flow(data: Path, out: Path, created_at: str, without: Collection[str] = ()) -> Manifest:
    """Learn the built-in model of flows again from simulations and captures of public data, some sources left out."""
    from infraspectre.adapters.models import save_model
    from infraspectre.adapters.tables import sha256_of
    from infraspectre.learning import builtin_flow
    from infraspectre.learning.training import thresholds
    from infraspectre.records.models import DataFile, Manifest
    from infraspectre.simulation import SCENARIOS, simulate

    model = builtin_flow.train(data, simulate, SCENARIOS.keys() - builtin_flow.NOT_LEARNT, without)
    kinds = flow_columns()
    manifest = Manifest(
        name=FLOW,
        kind=model.kind,
        task="classify",
        label="class",
        columns={name: "text" if kinds[name] == "text" else "number" for name in model.columns},
        classes=model.classes,
        created_at=created_at,
        seed=builtin_flow.SEED,
        data=[
            DataFile(path.relative_to(data).as_posix(), sha256_of(path))
            for path, source in builtin_flow.benign_captures(data)
            if source not in without
        ],
        thresholds=thresholds(model),
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
    """Return a table without some columns, and without lists, of which no model learns.

    Raises InputError for a column that it does not have.
    """
    for name in drop:
        if name not in frame.columns:
            raise InputError("there is no such column to drop", field=name, remedy="leave out its --drop")
    return frame.drop(drop)


def flat(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a table without columns of lists, which only models of packet sequences learn from."""
    return frame.drop(name for name, kind in frame.schema.items() if kind.is_nested())


def learnt_columns(kind: Kind, label: str, plan: Plan) -> dict[str, ColumnKind] | None:
    """Return the columns that a kind of models learns from, and those that split; None for all that there are."""
    if kind == COUNCIL:
        return None
    from infraspectre.ml.sequence import COLUMNS

    return {**dict.fromkeys(plan.split.columns, "text"), **dict.fromkeys(COLUMNS, "list"), label: "text"}


def require_sequences(data: Path, task: Task, plan: Plan, settings: CouncilSettings) -> None:
    """Raise UsageError for what a model of packet sequences cannot learn from or does not take."""
    from infraspectre.learning.labelled_captures import holds_captures
    from infraspectre.ml.council import USUAL

    if task != "classify":
        raise UsageError("a model of packet sequences needs labels", remedy="use --kind council for --task anomaly")
    if plan.search is not None or settings != USUAL:
        remedy = "leave out --search, --search-time, --detector and --device, or use --kind council"
        raise UsageError("a model of packet sequences has its own settings", remedy=remedy)
    if holds_captures(data):
        remedy = "write their flows with 'infraspectre flows', and add labels"
        raise UsageError("a model of packet sequences learns from tables of flows", path=data, remedy=remedy)
    sequence_training()


def sequence_training() -> ModuleType:
    """Return what trains models of packet sequences; raises UsageError where JAX is not installed."""
    try:
        return import_module("infraspectre.ml.sequence_training")
    except ImportError as error:
        remedy = "install what is missing with: pip install 'infraspectre[deep]'"
        raise UsageError(f"a model of packet sequences is trained with JAX: {error}", remedy=remedy) from error


def sequence_learner(
    kind: str, label: str, seed: int, stages: Stages | None = None, states: States | None = None
) -> Learn:
    """Return what learns a model of packet sequences; `states` are those of trainings that were interrupted."""
    training = sequence_training()

    def learn(frame: pl.DataFrame, _settings: CouncilSettings) -> Model:
        progress, profile = stages.within() if stages else None, training.PROFILES[kind]
        learnt: Model = training.learn(frame, label, profile=profile, seed=seed, progress=progress, shelf=states)
        return learnt

    return learn


def council_learner(
    label: str, task: Task, seed: int, stages: Stages | None = None, groups: str | None = None
) -> Learn:
    """Return what learns a council from a table; `groups` names a column of it, as in a `Split`."""
    council: Any = model_class("council")

    def learn(frame: pl.DataFrame, settings: CouncilSettings) -> Model:
        progress = stages.within() if stages else None
        learnt: Model = council.learn(
            frame, label, task=task, seed=seed, progress=progress, settings=settings, groups=groups
        )
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


def predict(
    model: OpenModel,
    data: Path,
    out: Path,
    *,
    explained: Path | None = None,
    top: int | None = None,
    novel: bool = False,
) -> int:
    """Write what a model says of each row of a table, in their order, as CSV; return the number of rows.

    The rows of a capture are its flows, in the order in which they ended. Into `explained` goes, as JSON lines, why
    rows are called hostile, or why the `top` rows of highest score are called what they are; raises UsageError for a
    model that cannot say. With `novel`, hostile rows that are unlike the class they would be said to be of are labelled
    so; raises UsageError for a model that does not tell such classes apart.
    """
    if novel:
        require_families(model)
    with about(data):
        rows = rows_of(model, data)
    done = 0
    with ExitStack() as stack:
        file = stack.enter_context(whole_file(out))
        reasons = stack.enter_context(whole_file(explained)) if explained else None
        reported = Reported(explaining(model), reasons, top) if reasons else None
        stack.enter_context(about(data))
        file.write((",".join(HEADER) + "\r\n").encode())
        for batch in rows:
            judgement = model.model.judge(batch)
            judgement = with_novel(judgement, model.model, batch) if novel else judgement
            file.write(prediction_lines(judgement, done))
            if reported:
                reported.add(batch, judgement, done)
            done += len(batch)
        if reported:
            reported.finish()
    return done


def rows_of(model: OpenModel, data: Path) -> Iterator[pl.DataFrame]:
    """Return, in parts, the rows of a table or the flows of a capture, as a model needs them."""
    from infraspectre.adapters.tables import TableFile
    from infraspectre.learning.labelled_captures import flows_of, is_capture

    if is_capture(data):
        require_flow_columns(model, frozenset(model.model.columns))
        flows = flows_of(data)
        return iter([flows] if len(flows) else [])
    table = TableFile(data)
    suit(table, model.manifest)
    return table.batches(columns_in(model, table.names))


def explaining(model: OpenModel) -> Explains:
    """Return a model that can say why; raises UsageError for one that cannot."""
    from infraspectre.ml.detector import Explains

    if not isinstance(model.model, Explains):
        raise UsageError(f"a {model.manifest.kind} model cannot explain", remedy="leave out --explain")
    return model.model


class Reported:
    """Explains rows that are called hostile as they come, or, at the end, those of highest score."""

    def __init__(self, model: Explains, file: WholeFile, top: int | None) -> None:
        """Write to a file; `top` says how many rows of highest score, None that every hostile row is explained."""
        self._model, self._file, self._top = model, file, top
        self._benign = model.classes[0]
        self._kept: tuple[pl.DataFrame, pl.DataFrame] | None = None

    def add(self, rows: pl.DataFrame, judgement: Judgement, first: int) -> None:
        """Take judged rows, the first of which has this number."""
        import polars as pl

        told = pl.DataFrame(
            {
                "row": range(first, first + len(rows)),
                "label": judgement.labels,
                "score": judgement.scores,
                "probability": judgement.probabilities,
                "low": judgement.low,
                "high": judgement.high,
            }
        )
        if self._top is None:
            hostile = told["label"] != self._benign
            self._write(rows.filter(hostile), told.filter(hostile))
            return
        if self._kept is not None:
            rows, told = pl.concat([self._kept[0], rows]), pl.concat([self._kept[1], told])
        order = told.with_row_index("at").sort(["score", "row"], descending=[True, False])["at"][: self._top]
        self._kept = rows[order], told[order]

    def finish(self) -> None:
        """Write the rows of highest score, the highest first."""
        if self._kept is not None:
            self._write(*self._kept)

    def _write(self, rows: pl.DataFrame, told: pl.DataFrame) -> None:
        import msgspec

        for start in range(0, len(rows), EXPLAINED_AT_ONCE):
            part = rows[start : start + EXPLAINED_AT_ONCE]
            explanations = self._model.explain(part)
            for record, explanation in zip(told[start:].iter_rows(named=True), explanations, strict=False):
                line = record | msgspec.structs.asdict(explanation)
                self._file.write(msgspec.json.encode(line) + b"\n")


def suit(table: TableFile, manifest: Manifest) -> None:
    """Give a table of older feature vectors the features that a model needs; those that were added are unknown.

    Raises InputError naming the versions where the model is of an older or of an unknown one.
    """
    if manifest.vector_version is None or {*manifest.columns} <= {*table.names}:
        return
    from infraspectre.axon import VECTOR

    version = VECTOR.version_of(table.names)
    if version is None:
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


def require_families(model: OpenModel) -> None:
    """Raise UsageError unless a model tells classes of hostile rows apart, and when none of them fits."""
    from infraspectre.ml.detector import TellsNovel

    if not isinstance(model.model, TellsNovel) or len(model.manifest.classes) < 3:
        raise UsageError(
            f"{model.manifest.name} tells no classes of hostile rows apart", remedy="leave out --novel for this model"
        )


def with_novel(judgement: Judgement, model: Model, frame: pl.DataFrame) -> Judgement:
    """Return a judgement in which rows unlike the class that their label names are labelled as novel."""
    from msgspec.structs import replace

    from infraspectre.ml.detector import TellsNovel

    if not isinstance(model, TellsNovel):
        return judgement
    found = model.novel(frame, judgement.labels).tolist()
    return replace(
        judgement, labels=[NOVEL if new else label for label, new in zip(judgement.labels, found, strict=True)]
    )


def columns_in(model: OpenModel, names: Sequence[str]) -> dict[str, ColumnKind]:
    """Return the columns of a table that a model needs, each with its kind; models of texts know several names.

    Raises InputError where no column of a table holds the texts.
    """
    from infraspectre.ml.text import TextModel

    return {model.model.column_in(names): "text"} if isinstance(model.model, TextModel) else model.manifest.columns


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
    import msgspec

    from infraspectre.adapters.results import json_document
    from infraspectre.learning.deciding import deciding
    from infraspectre.learning.leakage import leaks
    from infraspectre.learning.report_card import Subject, hostile_rows, report_card
    from infraspectre.ml.detector import Explains
    from infraspectre.report import render_card

    manifest = model.manifest
    table, groups = table_of(data, label, model=model)
    subject = Subject(manifest.name, manifest.content_id, label, manifest.classes[0], table.files)
    with about(data):
        frame = labelled(table.frame.drop(groups) if groups else table.frame, label)
        judgement = model.model.judge(frame.drop(label))
        card = report_card(frame, judgement, subject, manifest.thresholds, leaks(frame, label), seed=seed)
        if isinstance(model.model, Explains):
            hostile = hostile_rows(frame[label].to_list(), subject)
            told = deciding(model.model, frame.drop(label), hostile, seed=seed)
            card = msgspec.structs.replace(card, deciding=told)
    if training is not None:
        learnt, groups = table_of(training, label, model=model)
        without_groups = learnt.frame.drop(groups) if groups else learnt.frame
        card = compared(card, frame, labelled(without_groups, label), manifest)
    make_folder(out)
    write_whole(out / "report.json", json_document(card))
    render_card(card, out / "report.html")
    return card


def compared(card: ReportCard, judged: pl.DataFrame, learnt: pl.DataFrame, manifest: Manifest) -> ReportCard:
    """Return a report card with what only retraining tells."""
    from msgspec.structs import replace

    from infraspectre.learning.leakage import overlap
    from infraspectre.learning.retraining import left_out, retrained

    label, settings = card.subject.label, council_settings(manifest)

    def learn(frame: pl.DataFrame, seed: int) -> Model:
        learn_one = (
            council_learner(label, manifest.task, seed)
            if manifest.kind == COUNCIL
            else sequence_learner(manifest.kind, label, seed)
        )
        return learn_one(frame, settings)

    return replace(
        card,
        overlap=overlap(learnt, judged, label),
        retrained=list(retrained(learnt, judged, label, learn)),
        left_out=list(left_out(learnt, judged, label, card.subject.benign, learn)),
    )


def council_settings(manifest: Manifest) -> CouncilSettings:
    """Return the settings that a model was learnt with, on processors; raises InputError for unknown ones."""
    from msgspec import ValidationError, convert

    from infraspectre.ml.council import CouncilSettings, on_device

    try:
        return on_device(convert(manifest.settings, CouncilSettings), "cpu")
    except ValidationError as error:
        remedy = "train it anew with this version"
        raise InputError(f"was learnt with settings that are not known: {error}", remedy=remedy) from error


def listed() -> Iterator[tuple[str, Manifest]]:
    """Yield the names and manifests of the models that come with the package."""
    from infraspectre.adapters.models import load_manifest

    for name in builtin_names():
        yield BUILTIN + name, load_manifest(BUILTIN_FOLDER / name)


def verified(name: str, key: Path | None, config: Path | None = None) -> Manifest:
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


def described(name: str, config: Path | None = None) -> Manifest:
    """Return what a model says of itself."""
    from infraspectre.adapters.models import load_manifest

    return load_manifest(place(name, config))


def new_key(path: Path) -> Path:
    """Write a new key to sign models with, and beside it the public one, whose path is returned."""
    from infraspectre.adapters.signing import make_key

    return make_key(path)
