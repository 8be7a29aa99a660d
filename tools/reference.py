"""Writes the reference pages from what they describe: the command line, features, vector and metrics."""

from __future__ import annotations

from pathlib import Path

from infraspectre._core import SCHEMA_VERSION, feature_schema
from infraspectre.axon import VECTOR
from infraspectre.cli import NAME, ROOT
from infraspectre.cli.features import markdown, vector_markdown
from infraspectre.cli.help import reference
from infraspectre.serving.metrics import markdown as metrics_markdown

REFERENCE = Path(__file__).resolve().parent.parent / "docs" / "reference"


def pages() -> dict[str, str]:
    """Return the text of each page by its file name."""
    columns = (
        f"# Columns of flow records\n\nVersion {SCHEMA_VERSION} of the feature schema.\n\n{markdown(feature_schema())}"
    )
    vector = (
        f"# The feature vector\n\nVersion {VECTOR.version}: {len(VECTOR.features)} features, all 32-bit floating-point "
        "numbers, in this order; unknown values are null. `infraspectre flows --features vector` writes them.\n\n"
        f"{vector_markdown(VECTOR.features)}"
    )
    return {
        "cli.md": reference(NAME, ROOT),
        "features.md": columns,
        "metrics.md": metrics_markdown(),
        "vector.md": vector,
    }


def main() -> None:
    """Rewrite the pages."""
    for name, text in pages().items():
        (REFERENCE / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
