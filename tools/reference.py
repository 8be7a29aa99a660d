"""Writes the reference pages from what they describe: command line, settings, metrics, feature schema and vector."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from infraspectre import config
from infraspectre._core import SCHEMA_VERSION, feature_schema
from infraspectre.axon import VECTOR
from infraspectre.cli import NAME, ROOT
from infraspectre.cli.features import markdown, vector_markdown
from infraspectre.cli.help import reference
from infraspectre.serving.metrics import markdown as metrics_markdown
from infraspectre.settings import Settings

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
    settings = (
        "# Settings\n\nThey stand in the file that `--config` or the variable `INFRASPECTRE_CONFIG` names, YAML or "
        "TOML by its suffix; `infraspectre config init` writes one with all of them. A variable such as "
        "`INFRASPECTRE_SERVER__PORT` overrides the file.\n" + "".join(sections(config.described(Settings)))
    )
    return {
        "cli.md": reference(NAME, ROOT),
        "features.md": columns,
        "metrics.md": metrics_markdown(),
        "settings.md": settings,
        "vector.md": vector,
    }


def sections(found: Iterable[config.Setting]) -> Iterator[str]:
    """Yield the text of each section: a table of its settings, then the sections within."""
    for section in found:
        inside = section.settings or ()
        rows = [each for each in inside if each.settings is None]
        yield f"\n## {section.name}\n\n{section.text}\n"
        if rows:
            yield "\n| setting | default | may be | meaning |\n|---|---|---|---|\n"
            yield from (f"| `{each.name}` | `{shown(each.default)}` | {each.kind} | {each.text} |\n" for each in rows)
        yield from sections(each for each in inside if each.settings is not None)


def shown(value: object) -> str:
    """Return a default as it would be written."""
    return msgspec.json.encode(value).decode()


def main() -> None:
    """Rewrite the pages."""
    for name, text in pages().items():
        (REFERENCE / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
