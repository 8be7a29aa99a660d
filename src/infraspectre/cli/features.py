"""`infraspectre features`: the columns of flow records and the feature vector, from their own definitions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from math import isfinite
from typing import TYPE_CHECKING, Annotated, Any, Literal

from infraspectre.cli.options import DEFAULT, Common
from infraspectre.cli.output import print_json, print_table

if TYPE_CHECKING:
    from infraspectre._core import Feature
    from infraspectre.axon import VectorFeature

Format = Literal["table", "markdown"]


def features(
    *,
    columns: Annotated[Literal["base", "cic", "full"], "--features"] = "full",
    vector: bool = False,
    format: Format = "table",  # noqa: A002 - the option's name
    common: Common = DEFAULT,
) -> None:
    """List the columns of flow records with unit, definition and source.

    Parameters
    ----------
    columns
        List the columns of this set only.
    vector
        List the 100 features of the vector instead, with their ranges and the columns that they are made of.
    format
        Print a table for people, or Markdown for documents.
    """
    if vector:
        print_vector(format, common)
    else:
        print_columns(columns, format, common)


def print_columns(columns: str, format: Format, common: Common) -> None:  # noqa: A002 - the option's name
    """Print the columns of a set."""
    from infraspectre._core import feature_schema

    schema = [feature for feature in feature_schema() if columns in feature["sets"]]
    if common.json:
        print_json(schema)
    elif format == "markdown":
        print(markdown(schema), end="")
    elif not common.quiet:
        print_table(["name", "type", "unit", "definition"], [row(feature) for feature in schema])


def print_vector(format: Format, common: Common) -> None:  # noqa: A002 - the option's name
    """Print the features of the vector."""
    from infraspectre.axon import VECTOR

    if common.json:
        print_json({"version": VECTOR.version, "features": [told(feature) for feature in VECTOR.features]})
    elif format == "markdown":
        print(vector_markdown(VECTOR.features), end="")
    elif not common.quiet:
        rows = [
            [feature.name, feature.group, feature.unit, range_of(feature), feature.definition]
            for feature in VECTOR.features
        ]
        print_table(["name", "group", "unit", "range", "definition"], rows)


def told(feature: VectorFeature) -> dict[str, Any]:
    """Return a feature as JSON can say it; a range without an end has null there."""
    low, high = (end if isfinite(end) else None for end in (feature.low, feature.high))
    return {
        "name": feature.name,
        "dtype": "f32",
        "unit": feature.unit,
        "low": low,
        "high": high,
        "group": feature.group,
        "sources": feature.sources,
        "definition": feature.definition,
    }


def range_of(feature: VectorFeature) -> str:
    """Return the range of a feature's known values in writing."""
    low, high = feature.low, feature.high
    if not isfinite(low):
        return "any"
    return f"{low:g} to {high:.4g}" if isfinite(high) else f"from {low:g}"


def vector_markdown(features: Sequence[VectorFeature]) -> str:
    """Return the features of the vector as one Markdown table for each group."""
    lines: list[str] = []
    for group, members in groupby(features, lambda feature: feature.group):
        head = [
            "",
            f"## {group}",
            "",
            "| name | unit | range | definition | made of |",
            "| --- | --- | --- | --- | --- |",
        ]
        cells = (
            [f"`{each.name}`", each.unit, range_of(each), each.definition, " ".join(each.sources)] for each in members
        )
        lines += [*head, *("| " + " | ".join(row) + " |" for row in cells)]
    return "\n".join(lines).lstrip("\n") + "\n"


def row(feature: Feature) -> list[str]:
    """Return a feature as cells of a table."""
    source = f" ({feature['source']})" if feature["source"] else ""
    return [feature["name"], feature["dtype"], feature["unit"], feature["definition"] + source]


def markdown(schema: list[Feature]) -> str:
    """Return the schema as one Markdown table for each group of features."""
    lines: list[str] = []
    group = None
    for feature in schema:
        if feature["group"] != group:
            group = feature["group"]
            lines += [
                "",
                f"## {group}",
                "",
                "| name | type | unit | definition | sets |",
                "| --- | --- | --- | --- | --- |",
            ]
        cells = [f"`{feature['name']}`", *row(feature)[1:], " ".join(feature["sets"])]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines).lstrip("\n") + "\n"
