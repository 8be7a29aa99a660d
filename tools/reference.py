"""Writes the reference pages from what they describe: the command line and the feature schema."""

from __future__ import annotations

from pathlib import Path

from infraspectre._core import SCHEMA_VERSION, feature_schema
from infraspectre.cli import NAME, ROOT
from infraspectre.cli.features import markdown
from infraspectre.cli.help import reference

REFERENCE = Path(__file__).resolve().parent.parent / "docs" / "reference"


def pages() -> dict[str, str]:
    """Return the text of each page by its file name."""
    columns = (
        f"# Columns of flow records\n\nVersion {SCHEMA_VERSION} of the feature schema.\n\n{markdown(feature_schema())}"
    )
    return {"cli.md": reference(NAME, ROOT), "features.md": columns}


def main() -> None:
    """Rewrite the pages."""
    for name, text in pages().items():
        (REFERENCE / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
