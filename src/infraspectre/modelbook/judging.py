"""Judging the rows of a table, and saying why."""

from __future__ import annotations

import csv
import io
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from infraspectre.errors import UsageError
from infraspectre.files import WholeFile, whole_file
from infraspectre.modelbook.opening import OpenModel
from infraspectre.modelbook.tables import about, rows_of

if TYPE_CHECKING:
    import polars as pl

    from infraspectre.ml.detector import Explains, Judgement, TellsNovel

EXPLAINED_AT_ONCE = 1_024
"""Rows whose explanations are in memory together."""
NOVEL = "novel"
"""Label of hostile rows that no known class fits, where that is asked for."""
HEADER = ("row", "label", "score", "probability", "low", "high")


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
    knowing = telling_novel(model) if novel else None
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
            judgement = with_novel(judgement, knowing, batch) if knowing else judgement
            file.write(prediction_lines(judgement, done))
            if reported:
                reported.add(batch, judgement, done)
            done += len(batch)
        if reported:
            reported.finish()
    return done


def prediction_lines(judgement: Judgement, first: int) -> bytes:
    """Return judgements as lines of CSV (RFC 4180); rows count from 0."""
    text = io.StringIO()
    numbers = (judgement.scores, judgement.probabilities, judgement.low, judgement.high)
    rows = zip(judgement.labels, *(each.tolist() for each in numbers), strict=True)
    csv.writer(text).writerows((first + place, *row) for place, row in enumerate(rows))
    return text.getvalue().encode()


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


def telling_novel(model: OpenModel) -> TellsNovel:
    """Return a model that tells classes of hostile rows apart, and when none of them fits; else raises UsageError."""
    from infraspectre.ml.detector import TellsNovel

    if not isinstance(model.model, TellsNovel) or len(model.manifest.classes) < 3:
        raise UsageError(
            f"{model.manifest.name} tells no classes of hostile rows apart", remedy="leave out --novel for this model"
        )
    return model.model


def with_novel(judgement: Judgement, model: TellsNovel, frame: pl.DataFrame) -> Judgement:
    """Return a judgement in which rows unlike the class that their label names are labelled as novel."""
    from msgspec.structs import replace

    found = model.novel(frame, judgement.labels).tolist()
    return replace(
        judgement, labels=[NOVEL if new else label for label, new in zip(judgement.labels, found, strict=True)]
    )
