"""Training a model from a table with labels or from labelled captures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from infraspectre.errors import InputError, UsageError
from infraspectre.modelbook.opening import model_class
from infraspectre.modelbook.tables import about, column_kind, labelled, table_of, vector_version

if TYPE_CHECKING:
    import polars as pl

    from infraspectre.adapters.checkpoints import States
    from infraspectre.learning.training import Plan, Trained
    from infraspectre.learning.trials import Keep, Learn
    from infraspectre.ml.council import Anomaly, CouncilSettings
    from infraspectre.ml.detector import Model, Progress
    from infraspectre.records.models import ColumnKind, Manifest, Task

COUNCIL, SEQUENCE = "council", "sequence"
Kind = Literal["council", "sequence", "sequence-large"]
"""What learns from any table, or from lists of packets."""


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
    if kind != COUNCIL:
        unused = {
            "--search or --search-time": plan.search is not None,
            "--detector": detector != USUAL.anomaly,
            "--device": device != "cpu",
            "--drop": bool(drop),
        }
        require_sequences(data, task, [option for option, is_given in unused.items() if is_given])
    if plan.search is not None and task == "anomaly":
        raise UsageError("no settings are searched for the task anomaly", remedy="leave out --search, --search-time")
    usual = on_device(replace(USUAL, anomaly=detector), chosen_device(device))
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
        asked = [label, task, kind, sorted(drop), plan.split, plan.seed, plan.with_trial]
        checkpoint = Checkpoint(out, [__version__, table.files, asked, usual])
        stages = Stages(progress, plan.fits)
        learn = learner(kind, label, task, plan.seed, stages, groups=plan.split.group, states=checkpoint.states)
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


def without(frame: pl.DataFrame, drop: Sequence[str]) -> pl.DataFrame:
    """Return a table without some columns; raises InputError for a column that it does not have."""
    for name in drop:
        if name not in frame.columns:
            raise InputError("there is no such column to drop", field=name, remedy="leave out its --drop")
    return frame.drop(drop)


def flat(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a table without columns of lists, which only models of packet sequences learn from."""
    return frame.drop(name for name, kind in frame.schema.items() if kind.is_nested())


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


def learner(
    kind: str,
    label: str,
    task: Task,
    seed: int,
    stages: Stages | None = None,
    *,
    groups: str | None = None,
    states: States | None = None,
) -> Learn:
    """Return what learns a model of a kind from a table; raises UsageError for a kind that cannot be trained here.

    `groups` names a column of the table, as in a `Split`, which a council keeps together; `states` are those of
    trainings that were interrupted, with which models of packet sequences go on.
    """
    if kind == COUNCIL:
        return council_learner(label, task, seed, stages, groups)
    return sequence_learner(kind, label, seed, stages, states)


def council_learner(label: str, task: Task, seed: int, stages: Stages | None, groups: str | None) -> Learn:
    """Return what learns a council from a table."""
    council: Any = model_class("council")

    def learn(frame: pl.DataFrame, settings: CouncilSettings) -> Model:
        progress = stages.within() if stages else None
        learnt: Model = council.learn(
            frame, label, task=task, seed=seed, progress=progress, settings=settings, groups=groups
        )
        return learnt

    return learn


def learnt_columns(kind: Kind, label: str, plan: Plan) -> dict[str, ColumnKind] | None:
    """Return the columns that a kind of models learns from, and those that split; None for all that there are."""
    if kind == COUNCIL:
        return None
    from infraspectre.ml.sequence import COLUMNS

    return {**dict.fromkeys(plan.split.columns, "text"), **dict.fromkeys(COLUMNS, "list"), label: "text"}


def require_sequences(data: Path, task: Task, unused: Sequence[str]) -> None:
    """Raise UsageError for what a model of packet sequences cannot learn from, and for options that it does not use."""
    from infraspectre.learning.labelled_captures import holds_captures

    if task != "classify":
        raise UsageError("a model of packet sequences needs labels", remedy="use --kind council for --task anomaly")
    if unused:
        remedy = "leave out what it does not take, or use --kind council"
        raise UsageError(f"a model of packet sequences does not take {', '.join(unused)}", remedy=remedy)
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


def sequence_learner(kind: str, label: str, seed: int, stages: Stages | None, states: States | None) -> Learn:
    """Return what learns a model of packet sequences; raises UsageError where JAX is not installed."""
    training = sequence_training()

    def learn(frame: pl.DataFrame, _settings: CouncilSettings) -> Model:
        progress, profile = stages.within() if stages else None, training.PROFILES[kind]
        learnt: Model = training.learn(frame, label, profile=profile, seed=seed, progress=progress, shelf=states)
        return learnt

    return learn
