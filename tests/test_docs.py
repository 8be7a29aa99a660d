"""The documents: generated pages are fresh, and every command is spoken of."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import infraspectre
from infraspectre import _core, config, errors
from infraspectre.adapters.rules.updates import read_sources
from infraspectre.api import openapi
from infraspectre.api.app import described
from infraspectre.api.problems import KINDS
from infraspectre.cli import COMMANDS, NAME
from infraspectre.cli import ROOT as ROOT_GROUP
from infraspectre.cli.grammar import Group, options_of, walk
from infraspectre.records import Technique
from infraspectre.serving import metrics
from infraspectre.settings import Settings
from infraspectre.soma import techniques

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


@pytest.fixture(scope="module")
def reference() -> Iterator[ModuleType]:
    """The tool that writes the reference pages."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "tools")
        yield importlib.import_module("reference")


def page(name: str) -> str:
    return (ROOT / "docs" / "reference" / name).read_text()


def test_reference_pages_are_fresh(reference: ModuleType) -> None:
    assert [name for name, text in reference.pages().items() if page(name) != text] == [], "run `make docs`"


def test_every_command_and_option_is_in_the_reference() -> None:
    for path, command in walk(NAME, ROOT_GROUP):
        text = re.split(rf"\n#+ {path}\n", "\n" + page("cli.md"))[1].partition("\n## ")[0]
        options = [] if isinstance(command, Group) else [each for each in options_of(command) if not each.is_common]
        assert [each.label for each in options if f"`{each.label}" not in text] == [], path


def test_every_setting_is_in_the_reference() -> None:
    told = page("settings.md")
    known = [each.name for each in flattened(config.described(Settings))]
    assert len(known) > 80
    assert [name for name in known if f"`{name}`" not in told] == []


def flattened(found: Iterable[config.Setting]) -> Iterator[config.Setting]:
    """Yield the settings themselves, without the sections that hold them."""
    for each in found:
        yield from [each] if each.settings is None else flattened(each.settings)


def test_every_metric_is_in_the_reference() -> None:
    families = [each.name for each in vars(metrics).values() if isinstance(each, metrics.Family)]
    assert len(families) > 20
    assert [name for name in families if f"`{name}`" not in page("metrics.md")] == []


def test_every_alert_is_in_the_index_and_leads_to_its_runbook() -> None:
    names = re.findall(r"- alert: (\w+)", (ROOT / "deploy" / "prometheus" / "alerts.yaml").read_text())
    assert len(names) > 10
    assert [name for name in names if f"[{name}](../runbooks/" not in page("alerts.md")] == []


def test_every_operation_and_schema_is_in_the_reference() -> None:
    document = described()
    told = page("api.md")
    for path, method, operation in openapi.operations(document):
        assert f"### `{method.upper()} {path}`" in told
        assert f"`{operation['operationId']}`" in told
        text = told.partition(f"### `{method.upper()} {path}`")[2].partition("\n### ")[0]
        assert [each["name"] for each in operation.get("parameters", ()) if f"`{each['name']}`" not in text] == []
    schemas = page("api-schemas.md")
    for name, schema in document["components"]["schemas"].items():
        text = schemas.partition(f"\n## {name.removeprefix('Some')}\n")[2].partition("\n## ")[0]
        assert text, name
        assert [field for field in schema.get("properties", ()) if f"`{field}`" not in text] == [], name


def test_every_error_is_in_the_reference() -> None:
    declared = r"^class (\w+Error)\((?:InfraSpectre|Input|Usage|Config|Output|Conflict|Overload|Access)Error\)"
    sources = (ROOT / "src" / "infraspectre").rglob("*.py")
    names = [name for path in sources for name in re.findall(declared, path.read_text(), re.MULTILINE)]
    assert len(names) > 8
    assert [name for name in [*names, "InfraSpectreError"] if f"`{name}`" not in page("errors.md")] == []


def test_every_problem_and_exit_status_is_in_the_reference() -> None:
    told = page("errors.md")
    assert [name for name, kind in KINDS.items() if f"| `{name}` | {kind.status} |" not in told] == []
    statuses = [value for name, value in vars(errors).items() if name.startswith("EXIT_")]
    assert [each for each in statuses if f"| {each} |" not in told] == []


@pytest.mark.parametrize("name", ["summary.json", "detections.jsonl", "incidents.jsonl"])
def test_every_field_of_files_is_in_the_reference(name: str, analyzed: Path) -> None:
    text = page("files.md").partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    written = (analyzed / name).read_text()
    lines = [json.loads(written)] if name.endswith(".json") else map(json.loads, written.splitlines())
    fields = {field for line in lines for field in line}
    assert fields
    assert [field for field in fields if f"`{field}`" not in text] == []


@pytest.mark.skipif(not hasattr(_core, "RuleSet"), reason="this build of the core has no signatures")
def test_every_field_of_alerts_is_in_the_reference(tmp_path: Path) -> None:
    rules = tmp_path / "any.rules"
    rules.write_text(
        'alert ip any any -> any any (msg:"any"; sid:1;)\nalert dns any any -> any any (msg:"dns"; sid:2;)'
    )
    infraspectre.analyze(
        ROOT / "examples" / "sample.pcap.gz", signatures=infraspectre.load_rules([rules]), out=tmp_path / "out"
    )
    text = page("files.md").partition("\n## alerts.jsonl\n")[2].partition("\n## ")[0]
    alerts = [json.loads(line) for line in (tmp_path / "out" / "alerts.jsonl").read_text().splitlines()]
    fields = {field for alert in alerts for field in alert if field != alert.get("app_proto")}
    assert "pcap_cnt" in fields
    assert [field for field in fields if f"`{field}`" not in text] == []


def test_every_technique_that_detectors_name_is_proven_or_said_not_to_be() -> None:
    page = (ROOT / "docs" / "reference" / "attack-coverage.md").read_text()
    claimed = {each.id for each in vars(techniques).values() if isinstance(each, Technique)}
    assert claimed <= set(re.findall(r"\bT\d{4}(?:\.\d{3})?\b", page)), "run python tools/coverage.py"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_documented_beyond_its_help(command: str) -> None:
    guides = "".join(path.read_text() for path in ROOT.glob("docs/guides/*.md"))
    assert f"infraspectre {command}" in guides


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_hold(document: Path) -> None:
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
        assert (document.parent / link).exists(), link


SIGNATURES = ROOT / "docs" / "guides" / "signatures.md"


def write_files(page: Path, folder: Path) -> None:
    """Write the blocks of a document that begin with the name of a file."""
    named = r"^```\w+\n# ([\w./-]+\.(?:yaml|rules))\n(.*?)```"
    for name, text in re.findall(named, page.read_text(), re.DOTALL | re.MULTILINE):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)


def require_signatures(page: Path) -> list[pytest.MarkDecorator]:
    """Return the mark that skips what needs signatures where the core has none."""
    is_lacking = page == SIGNATURES and not hasattr(_core, "RuleSet")
    return [pytest.mark.skip("this build of the core has no signatures")] if is_lacking else []


def blocks(language: str) -> list[Any]:
    """Return the code blocks of the documents that users read, each with its place."""
    pages = [ROOT / "README.md", *sorted(ROOT.glob("docs/guides/*.md"))]
    found = ((page, re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)) for page in pages)
    return [
        pytest.param(code, id=f"{page.stem}-{n}", marks=require_signatures(page))
        for page, codes in found
        for n, code in enumerate(codes)
    ]


@pytest.fixture
def desk(tmp_path: Path, capture: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the inputs of which the documents speak; `infraspectre` is the command."""
    for name in ("traffic.pcap", "monday.pcap", "tuesday.pcapng.gz", "captures/one.pcap", "scan/capture.pcap"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(capture, tmp_path / name)
    for page in ROOT.glob("docs/guides/*.md"):
        write_files(page, tmp_path)
    (tmp_path / "suricata.yaml").write_text("vars: {address-groups: {HOME_NET: any}}")
    command = tmp_path / ".venv" / "bin" / "infraspectre"
    command.parent.mkdir(parents=True)
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m infraspectre.cli "$@"\n')
    command.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("PATH", f"{command.parent}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


@pytest.mark.parametrize("block", blocks("console"))
def test_commands_in_documents_work(block: str, desk: Path) -> None:
    commands = re.findall(r"^\$ (?!make )(.*)$", block, re.MULTILINE)
    script = "\n".join(commands).replace("zstd -dc traffic.pcap.zst", "cat traffic.pcap")
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("block", blocks("python"))
def test_python_in_documents_works(block: str, desk: Path) -> None:
    incident = "analysis.incidents[0]"
    code = block.replace(incident, f"if analysis.incidents: {incident}")
    exec(compile("import infraspectre as ins\n" + code, "document", "exec"), {})


def test_sources_in_documents_are_sources(desk: Path) -> None:
    assert [source.name for source in read_sources(desk / "web-sources.yaml").sources] == ["vendor"]
