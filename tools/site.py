"""Hooks of the documentation site: files outside docs/ that pages speak of come with it, and links lead to them."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
PROJECT = ("ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
"""Pages at the root of the repository that are pages of the site, too."""
LINK = re.compile(r"(\]\()([^)#:\s]+)((?:#[^)\s]*)?\))")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages at the root of the repository, and whatever else pages link to outside docs/."""
    for name in PROJECT:
        files.append(File.generated(config, address(name), content=(ROOT / name).read_text(encoding="utf-8")))
    for page in [each for each in files if each.is_documentation_page()]:
        for _, target, _ in LINK.findall(page.content_string):
            outside = target_of(page.src_uri, target)
            if address(outside) not in files.src_uris and (ROOT / outside).is_file():
                files.append(File.generated(config, address(outside), abs_src_path=str(ROOT / outside)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Return the text of a page whose links lead to where things are on the site."""

    def moved(link: re.Match[str]) -> str:
        there = address(target_of(page.file.src_uri, link[2]))
        return link[1] + posixpath.relpath(there, posixpath.dirname(page.file.src_uri) or ".") + link[3]

    return LINK.sub(moved, markdown)


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
