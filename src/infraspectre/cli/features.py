"""`infraspectre features`: the columns of flow records, from the core's own schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from infraspectre.cli.options import DEFAULT, Common
from infraspectre.cli.output import print_json, print_table

if TYPE_CHECKING:
    from infraspectre._core import Feature

Format = Literal["table", "markdown"]


def features(
    *,
    columns: Annotated[Literal["base", "cic", "full"], "--features"] = "full",
    format: Format = "table",  # noqa: A002 - the option's name
    common: Common = DEFAULT,
) -> None:
    """List the columns of flow records with unit, definition and source.

    Parameters
    ----------
    columns
        List the columns of this set only.
    format
        Print a table for people, or Markdown for documents.
    """
    from infraspectre._core import feature_schema

    schema = [feature for feature in feature_schema() if columns in feature["sets"]]
    if common.json:
        print_json(schema)
    elif format == "markdown":
        print(markdown(schema), end="")
    elif not common.quiet:
        print_table(["name", "type", "unit", "definition"], [row(feature) for feature in schema])


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
