"""Writes the reference pages from what they describe: commands, settings, API, files, errors, alerts and features."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import api_pages
import msgspec
import yaml
from file_pages import files_page

from infraspectre import client, config, errors
from infraspectre._core import SCHEMA_VERSION, feature_schema
from infraspectre.adapters.sensor_link import client as sensor_client
from infraspectre.api.app import described
from infraspectre.api.problems import ERROR_KINDS, KINDS, PROBLEMS_PATH
from infraspectre.axon import VECTOR
from infraspectre.cli import NAME, ROOT
from infraspectre.cli.features import markdown, vector_markdown
from infraspectre.cli.help import reference
from infraspectre.serving.metrics import markdown as metrics_markdown
from infraspectre.settings import Settings

ROOT_FOLDER = Path(__file__).resolve().parent.parent
REFERENCE = ROOT_FOLDER / "docs" / "reference"
FIGURE = re.compile(r"{{.*?}}")
"""What an alert fills in when it fires."""
MODULES = (client, sensor_client)
"""Imported for the errors that they add to the tree."""
ALERTS = ROOT_FOLDER / "deploy" / "prometheus" / "alerts.yaml"


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
        **api_pages.pages(described()),
        "alerts.md": alerts(),
        "cli.md": reference(NAME, ROOT),
        "errors.md": errors_page(),
        "features.md": columns,
        "files.md": files_page(),
        "metrics.md": metrics_markdown(),
        "settings.md": settings,
        "vector.md": vector,
    }


def errors_page() -> str:
    """Return the page of errors, exit statuses and problems."""
    rows = [
        f"| {NESTED * depth}`{kind.__name__}` | {kind.exit_status} | {problem_of(kind)} | {first_line(kind)} |\n"
        for kind, depth in below(errors.InfraSpectreError)
    ]
    problems = [f"| `{name}` | {each.status} | {each.title} | {each.meaning} |\n" for name, each in KINDS.items()]
    return (
        "# Errors\n\nEach says where and what, and what to do about it: path, line and field as far as they are known, "
        "the problem, and a remedy. On the command line they are a message on stderr and an exit status; over the API, "
        "a [problem](#problems); in Python, one tree of exceptions in `infraspectre.errors`.\n\n## Exit statuses\n\n"
        "| status | means |\n|---|---|\n"
        + "".join(f"| {status} | {meaning} |\n" for status, meaning in STATUSES.items())
        + "\n## Exceptions\n\nAn indented one is a kind of that above it.\n\n"
        "| exception | exit status | problem | says |\n|---|---|---|---|\n"
        + "".join(rows)
        + f"\n## Problems\n\nWhat the API answers with where it does not do what is asked (RFC 9457); the type is "
        f"`{PROBLEMS_PATH}/` and the name, and leads to its meaning.\n\n"
        "| type | status | title | what to do |\n|---|---|---|---|\n" + "".join(problems)
    )


NESTED = "&nbsp;&nbsp;&nbsp;"
STATUSES = {
    errors.EXIT_DONE: "done",
    errors.EXIT_FAILED: "failed",
    errors.EXIT_BAD_INPUT: "wrong usage or bad input, which the message names",
    errors.EXIT_LOSSES: "done, with losses that are reported",
    errors.EXIT_INTERRUPTED: f"interrupted; other signals end with {errors.SIGNALLED} and their number",
}


def below(kind: type[errors.InfraSpectreError], depth: int = 0) -> Iterator[tuple[type[errors.InfraSpectreError], int]]:
    """Yield an error and those that are kinds of it, each with its depth in the tree."""
    yield kind, depth
    ours = [each for each in kind.__subclasses__() if each.__module__.startswith("infraspectre.")]
    for each in sorted(ours, key=lambda each: each.__name__):
        yield from below(each, depth + 1)


def problem_of(kind: type[errors.InfraSpectreError]) -> str:
    """Return the problem as which the API tells of an error."""
    name = next((name for of, name in ERROR_KINDS if issubclass(kind, of)), "internal")
    return f"[`{name}`](#problems)"


def first_line(kind: type) -> str:
    """Return the first line of the docstring of a class."""
    return (kind.__doc__ or "").partition("\n")[0]


def alerts() -> str:
    """Return the index of alerts and their runbooks."""
    [group] = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    rows = [
        f"| [{each['alert']}](../runbooks/{Path(each['annotations']['runbook_url']).name}) "
        f"| {each['labels']['severity']} | {each.get('for', 'at once')} "
        f"| {FIGURE.sub('...', each['annotations']['description'])} |\n"
        for each in group["rules"]
    ]
    return (
        "# Alerts and their runbooks\n\nThe rules are in "
        "[`deploy/prometheus/alerts.yaml`](../../deploy/prometheus/alerts.yaml). A page wakes people, a ticket waits "
        "for the working day; each alert leads to what to do.\n\n"
        "| alert | severity | after | tells |\n|---|---|---|---|\n" + "".join(rows)
    )


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
