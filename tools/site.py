"""Hooks of the documentation site: files outside docs/ that pages speak of come with it, and links lead to them."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
PROJECT = ("ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
"""Pages at the root of the repository that are pages of the site, too."""
LINK = re.compile(r"(\]\()([^)#:\s]+)((?:#[^)\s]*)?\))")
EMBEDDED = re.compile(r"^\[`(examples/\w+\.py)`\]\([^)]+\)$", re.MULTILINE)
"""A line that is nothing but a link to an example: the site shows the example itself."""


def on_files(files: Files, config: Any) -> Files:
    """Add pages at the root of the repository and what pages link to outside docs/, and fill the navigation."""
    for name in PROJECT:
        files.append(File.generated(config, address(name), content=(ROOT / name).read_text(encoding="utf-8")))
    for page in [each for each in files if each.is_documentation_page()]:
        for _, target, _ in LINK.findall(page.content_string):
            outside = target_of(page.src_uri, target)
            if address(outside) not in files.src_uris and (ROOT / outside).is_file():
                files.append(File.generated(config, address(outside), abs_src_path=str(ROOT / outside)))
    config.nav = filled(config.nav, sorted(each.src_uri for each in files), set(named(config.nav)))
    return files


def named(nav: Any) -> Iterator[str]:
    """Yield all that a navigation names."""
    if isinstance(nav, str):
        yield nav
    else:
        for each in nav.values() if isinstance(nav, dict) else nav:
            yield from named(each)


def filled(nav: Any, pages: Sequence[str], taken: set[str]) -> Any:
    """Return a navigation in which the pages that fit a pattern, and stand nowhere else, take its place."""
    if isinstance(nav, dict):
        return {title: filled(each, pages, taken) for title, each in nav.items()}
    if isinstance(nav, str):
        return nav
    found: list[Any] = []
    for each in nav:
        is_pattern = isinstance(each, str) and "*" in each
        fitting = [page for page in pages if fnmatch(page, each) and page not in taken] if is_pattern else []
        found += fitting if is_pattern else [filled(each, pages, taken)]
    return found


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Return the text of a page with the files that it embeds, whose links lead to where things are on the site."""

    def moved(link: re.Match[str]) -> str:
        there = address(target_of(page.file.src_uri, link[2]))
        return link[1] + posixpath.relpath(there, posixpath.dirname(page.file.src_uri) or ".") + link[3]

    return EMBEDDED.sub(lambda found: code(found[1]), LINK.sub(moved, markdown))


def code(path: str) -> str:
    """Return an example as a block of code under its name."""
    return f'```py title="{path}"\n{(ROOT / path).read_text(encoding="utf-8")}```'


def target_of(page: str, link: str) -> str:
    """Return the path in the repository to which a link of a page leads."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(origin(page)), link))


def origin(page: str) -> str:
    """Return the path in the repository of a page of the site."""
    name = page.removeprefix("project/")
    return name if name in PROJECT else f"docs/{page}"


def address(path: str) -> str:
    """Return where a file of the repository lies on the site."""
    if path == "README.md":
        return "index.md"
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return f"project/{path}" if path in PROJECT else f"files/{path}"
