"""The documents: generated pages are fresh, and every command is spoken of."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from infraspectre import _core
from infraspectre.adapters.rules.updates import read_sources
from infraspectre.cli import COMMANDS
from infraspectre.records import Technique
from infraspectre.soma import techniques

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "tools" / "reference.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["cli.md", "features.md", "metrics.md", "settings.md", "vector.md"])
def test_reference_pages_are_fresh(name: str) -> None:
    page = ROOT / "docs" / "reference" / name
    assert page.read_text() == generator().pages()[name], "run `make docs`"


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
