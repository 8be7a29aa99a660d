"""Why rows are judged as they are: exact shares of columns, nearest known examples, least changes, in words."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from infraspectre.ml.detector import Contributions, Matrix, Vector
from infraspectre.ml.examples import Examples, Places
from infraspectre.ml.table import Table
from infraspectre.records.explanation import Attribution, Bound, Change, Example, Explanation, Value
from infraspectre.records.words import figure, listed

Masks = NDArray[np.bool_]

ROWS_AT_ONCE = 256
"""Rows explained in one step, so that memory stays bounded."""
NEAREST = 3
"""Examples told for each row; the nearest benign one is added where it is not among them."""
TARGETS = 3
"""Benign examples, the nearest ones, of which that with the fewest changes is told."""
TOLD_DIFFERENCES = 5
TOLD_REASONS = 3
LONGEST_TEXT = 60
SIZEABLE = 0.1
"""Least difference of a column, in standard deviations, that is told."""
BEYOND = 8
"""Values beyond a changed number that are tried before "at most" or "at least" is said of it."""


class Explainer:
    """Explains the margin of rows, by which they are hostile where it is above 0."""

    def __init__(
        self,
        table: Table,
        examples: Examples | None,
        known: Callable[[Matrix], Vector],
        margins: Callable[[Matrix], Vector],
    ) -> None:
        """Explain `margins`, of which `known` gives the exact part of each feature, and last that of none.

        What `margins` has beyond that is how unusual a row is.
        """
        self._table, self._examples, self._known, self._margins = table, examples, known, margins

    def contributions(self, frame: pl.DataFrame) -> Contributions:
        """Return what each column adds to the margin of each row.

        The part of trees is exact (Shapley values, summed over the features of a column). That of being unusual is
        divided in proportion to the squared differences from the nearest benign example, as distances are.
        """
        return self._contributions(frame, self._table.encode(frame))

    def _contributions(self, frame: pl.DataFrame, rows: Matrix) -> Contributions:
        known, margins = self._known(rows), self._margins(rows)
        values = np.zeros((len(rows), len(self._table.columns)))
        np.add.at(values.T, self._table.owners, known[:, :-1].T)
        rest = margins - known.sum(axis=1)
        unusual = rest[:, None] * self._shares(frame, rows)
        return Contributions(self._table.columns, values + unusual, unusual, margins - (values + unusual).sum(axis=1))

    def _shares(self, frame: pl.DataFrame, rows: Matrix) -> Vector:
        """Return the share of each column in the squared distance to the nearest benign example; zeros for none."""
        if self._examples is None or not len(rows):
            return np.zeros((len(rows), len(self._table.columns)))
        point = self._examples.locate(frame, rows)
        places, _ = self._examples.nearest(point, 1, benign=True)
        squares = self._examples.differences(point, places[:, 0]) ** 2
        return np.asarray(squares / np.maximum(squares.sum(axis=1, keepdims=True), 1e-12))

    def explain(self, frame: pl.DataFrame, labels: Sequence[str], classes: Sequence[str]) -> list[Explanation]:
        """Explain why rows of a table have these labels, of classes of which the first is benign."""
        found: list[Explanation] = []
        for start in range(0, len(frame), ROWS_AT_ONCE):
            part = frame[start : start + ROWS_AT_ONCE]
            found += self._explain(part, labels[start : start + ROWS_AT_ONCE], classes)
        return found

    def _explain(self, frame: pl.DataFrame, labels: Sequence[str], classes: Sequence[str]) -> list[Explanation]:
        rows = self._table.encode(frame)
        told = self._contributions(frame, rows)
        examples = self._nearest(frame, rows, classes)
        changes = self._changes(frame, rows, told)
        margins = told.base + told.values.sum(axis=1)
        attributions = [
            _attributions(told, place, record) for place, record in enumerate(frame.select(told.names).to_dicts())
        ]
        words = [
            in_words(label, reasons, known, others, is_benign=label == classes[0])
            for label, reasons, known, others in zip(labels, attributions, examples, changes, strict=True)
        ]
        columns = (margins.round(6).tolist(), told.base.round(6).tolist(), attributions, examples, changes, words)
        return [Explanation(*each) for each in zip(*columns, strict=True)]

    def _nearest(self, frame: pl.DataFrame, rows: Matrix, classes: Sequence[str]) -> list[list[Example]]:
        examples = self._examples
        if examples is None:
            return [[] for _ in range(len(rows))]
        point = examples.locate(frame, rows)
        any_places, any_distances = examples.nearest(point, NEAREST)
        benign_places, benign_distances = examples.nearest(point, 1, benign=True)
        is_new = ~(any_places == benign_places).any(axis=1)
        found: list[list[Example]] = [[] for _ in range(len(rows))]
        for rank, (places, distances) in enumerate(
            [*zip(any_places.T, any_distances.T, strict=True), (benign_places[:, 0], benign_distances[:, 0])]
        ):
            differences = examples.differences(point, places)
            for row, (place, distance) in enumerate(zip(places.tolist(), distances.tolist(), strict=True)):
                if rank < any_places.shape[1] or is_new[row]:
                    differs = _largest(differences[row], SIZEABLE, self._table.columns)
                    label = classes[int(examples.labels[place])]
                    found[row].append(Example(label, round(distance, 4), differs, examples.records[place]))
        return found

    def _changes(self, frame: pl.DataFrame, rows: Matrix, told: Contributions) -> list[list[Change]]:
        """Return for each hostile row what would have to be as in a near benign example for it to be benign."""
        found: list[list[Change]] = [[] for _ in range(len(rows))]
        hostile = np.flatnonzero(self._margins(rows) > 0)
        if self._examples is None or not len(hostile):
            return found
        frame, own, contributions = frame[hostile], rows[hostile], told.values[hostile]
        nearest, _ = self._examples.nearest(self._examples.locate(frame, own), TARGETS, benign=True)
        places, masks = nearest[:, 0], np.zeros((len(own), len(told.names)), dtype=bool)
        for others in nearest.T:
            tried = Swap(self._table, own, self._examples.rows[others], self._margins).least(contributions)
            counts = masks.sum(axis=1)
            better = tried.any(axis=1) & ((tried.sum(axis=1) < counts) | (counts == 0))
            places, masks = np.where(better, others, places), np.where(better[:, None], tried, masks)
        swap = Swap(self._table, own, self._examples.rows[places], self._margins)
        bounds = swap.bounds(masks, self._examples.rows[self._examples.labels == 0])
        for at, (row, place) in enumerate(zip(hostile.tolist(), places.tolist(), strict=True)):
            after = self._examples.records[place]
            for column in sorted(np.flatnonzero(masks[at]).tolist(), key=lambda each: -contributions[at, each]):
                name = told.names[column]
                found[row].append(Change(name, cell(frame[name][at]), after[name], bounds.get((at, column), "exactly")))
        return found


class Swap:
    """Puts values of other rows in place of some columns' own."""

    def __init__(self, table: Table, rows: Matrix, others: Matrix, margins: Callable[[Matrix], Vector]) -> None:
        """Take rows and, for each, one that is called benign."""
        self._owners, self._rows, self._others, self._margins = table.owners, rows, others, margins
        self._numbers = {
            column: int(np.searchsorted(table.owners, column)) for column in np.flatnonzero(table.is_number).tolist()
        }
        same = (rows == others) | (np.isnan(rows) & np.isnan(others))
        self._differs = np.zeros((len(rows), len(table.columns)), dtype=bool)
        np.logical_or.at(self._differs.T, self._owners, ~same.T)

    def are_benign(self, masks: Masks, of: Places) -> Masks:
        """Tell which rows are benign when the columns of a mask are changed; `of` names the row for each mask."""
        parts = []
        for start in range(0, len(masks), 4 * ROWS_AT_ONCE):
            part, rows = masks[start : start + 4 * ROWS_AT_ONCE], of[start : start + 4 * ROWS_AT_ONCE]
            parts.append(self._margins(self._changed(part, rows)) <= 0)
        return np.concatenate(parts) if parts else np.empty(0, dtype=bool)

    def _changed(self, masks: Masks, of: Places) -> Matrix:
        return np.where(masks[:, self._owners], self._others[of], self._rows[of])

    def bounds(self, masks: Masks, usual: Matrix) -> dict[tuple[int, int], Bound]:
        """Tell of which changed numbers, by row and column, those beyond in the same direction do as well.

        Up to BEYOND of the values of usual rows are tried, evenly spaced in their order, the farthest among them.
        """
        changed = self._changed(masks, np.arange(len(masks)))
        found: dict[tuple[int, int], Bound] = {}
        tried, keys = [], []
        for row, column in np.argwhere(masks).tolist():
            feature = self._numbers.get(column)
            if feature is None or np.isnan(changed[row, feature]) or np.isnan(self._rows[row, feature]):
                continue
            is_less = changed[row, feature] < self._rows[row, feature]
            values = np.unique(usual[:, feature])
            beyond = values[values < changed[row, feature] if is_less else values > changed[row, feature]]
            for value in beyond[np.linspace(0, len(beyond) - 1, min(BEYOND, len(beyond))).astype(np.int64)]:
                tried.append(changed[row].copy())
                tried[-1][feature] = value
                keys.append((row, column))
            if len(beyond):
                found[row, column] = "at most" if is_less else "at least"
        for start in range(0, len(tried), 4 * ROWS_AT_ONCE):
            fails = self._margins(np.stack(tried[start : start + 4 * ROWS_AT_ONCE])) > 0
            for place in np.flatnonzero(fails).tolist():
                found.pop(keys[start + place], None)
        return found

    def least(self, contributions: Vector) -> Masks:
        """Return for each row columns that make it benign, of which none is superfluous; none if all do not.

        Columns are changed in the order of their contributions until the row is benign; then those are taken back
        without which it still is, the least contributing first, until no single one can be.
        """
        masks = self._first(contributions)
        active = np.flatnonzero(masks.any(axis=1))
        while len(active):
            active = active[self._take_back(masks, active, contributions)]
        return masks

    def _first(self, contributions: Vector) -> Masks:
        order = np.argsort(np.where(self._differs, -contributions, np.inf), axis=1, kind="stable")
        counts = self._differs.sum(axis=1)
        of = np.repeat(np.arange(len(counts)), counts)
        ranks = np.empty_like(order)
        np.put_along_axis(ranks, order, np.arange(order.shape[1])[None, :], axis=1)
        lengths = np.arange(len(of)) - np.repeat(np.cumsum(counts) - counts, counts)
        benign = self.are_benign(ranks[of] <= lengths[:, None], of)
        masks = np.zeros_like(self._differs)
        for place in np.flatnonzero(benign)[::-1].tolist():
            masks[of[place]] = ranks[of[place]] <= lengths[place]
        return masks

    def _take_back(self, masks: Masks, active: Places, contributions: Vector) -> Masks:
        """Take back one change of each active row where that is possible, and tell where it was."""
        at, columns = np.nonzero(masks[active])
        tried = masks[active[at]]
        tried[np.arange(len(at)), columns] = False
        benign = self.are_benign(tried, active[at])
        weights = np.where(benign, contributions[active[at], columns], np.inf)
        is_changed = np.zeros(len(active), dtype=bool)
        for place in np.lexsort((columns, weights)).tolist():
            if benign[place] and not is_changed[at[place]]:
                is_changed[at[place]] = True
                masks[active[at[place]], columns[place]] = False
        return is_changed


def cell(value: object) -> Value:
    """Return a cell of a table as it can be written; None for a number that is not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int) else str(value)


def in_words(
    label: str,
    attributions: Sequence[Attribution],
    examples: Sequence[Example],
    changes: Sequence[Change],
    *,
    is_benign: bool,
) -> str:
    """Say why a row is called what it is called."""
    sign = -1.0 if is_benign else 1.0
    reasons = [each for each in attributions if sign * each.contribution > 0][:TOLD_REASONS]
    because = ", ".join(f"{each.column} is {shown(each.value)} ({each.contribution:+.2f})" for each in reasons)
    sentences = [called(label, is_benign=is_benign) + (f" mostly because {because}" if because else "")]
    if examples:
        nearest = examples[0]
        differs = f", which differs in {listed(nearest.differs)}" if nearest.differs else ""
        distance = f"at a distance of {nearest.distance:.2f}"
        sentences.append(f"The nearest known example is {nearest.label} {distance}{differs}")
    if changes:
        bounds = ["" if each.bound == "exactly" else f"{each.bound} " for each in changes]
        were = [f"{each.column} were {bound}{shown(each.after)}" for bound, each in zip(bounds, changes, strict=True)]
        sentences.append(f"It would be benign if {listed(were)}")
    return ". ".join(sentences) + "."


def called(label: str, *, is_benign: bool) -> str:
    """Say what a row is called; that it is hostile is what is explained, not of which kind."""
    return f"Called {label}" if is_benign or label == "hostile" else f"Called hostile ({label})"


def shown(value: Value) -> str:
    """Write a cell shortly; a number with separators."""
    if value is None:
        return "not known"
    if isinstance(value, str):
        return repr(value[:LONGEST_TEXT])
    return str(value).lower() if isinstance(value, bool) else figure(value)


def _attributions(told: Contributions, row: int, record: dict[str, object]) -> list[Attribution]:
    order = np.argsort(-np.abs(told.values[row]), kind="stable").tolist()
    values, unusual = told.values[row].round(6).tolist(), told.unusual[row].round(6).tolist()
    return [Attribution(told.names[at], cell(record[told.names[at]]), values[at], unusual[at]) for at in order]


def _largest(differences: Vector, least: float, names: Sequence[str]) -> list[str]:
    order = np.argsort(-differences, kind="stable")[:TOLD_DIFFERENCES].tolist()
    return [names[at] for at in order if differences[at] >= least]
