"""The site of the documentation: it builds without a warning, and asks nothing of any other host."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
"""What browsers fetch by themselves, by element and attribute."""


class Fetched(HTMLParser):
    """Gathers the addresses that a page makes a browser fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in LOADED and given.get("rel") not in ("canonical", "next", "prev"):
            self.addresses.append(given.get(LOADED[tag]) or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)]
    environment = {"NO_MKDOCS_2_WARNING": "1", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    yield folder


def test_browsers_fetch_nothing_from_elsewhere(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 70
    for page in pages:
        reader = Fetched()
        reader.feed(page.read_text())
        assert reader.addresses
        assert not [each for each in reader.addresses if re.match(r"(?:https?:)?//", each)], page


def test_styles_fetch_nothing_from_elsewhere(site: Path) -> None:
    for style in site.rglob("*.css"):
        assert not re.findall(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//", style.read_text()), style


def test_what_pages_speak_of_outside_the_documents_comes_with_them(site: Path) -> None:
    assert (site / "files" / "deploy" / "systemd" / "infraspectre.service").is_file()
    assert "../files/deploy/systemd/infraspectre.service" in (site / "guides" / "serve.html").read_text()


def test_examples_stand_in_their_page(site: Path) -> None:
    shown = re.sub(r"<[^>]+>", "", (site / "examples.html").read_text())
    for example in ROOT.glob("examples/*.py"):
        assert html.escape(example.read_text(), quote=False).strip() in shown, example.name


def test_search_knows_all_pages(site: Path) -> None:
    assert "list_incidents" in (site / "search" / "search_index.json").read_text()
