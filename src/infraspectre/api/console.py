"""The console: its built files, each with headers that let a browser run nothing else and ask nobody else."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from litestar import Request, Response, get
from litestar.params import PathParameter
from litestar.response import Redirect

from infraspectre.api.compression import takes_gzip
from infraspectre.api.problems import RefusedError

FOLDER = Path(__file__).parent / "static"
PATH = "/console"
INDEX = "index.html"
NAMED_BY_CONTENT = "assets/"
"""Files below have a hash of their content in their name, so that browsers may keep them."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "vary": "accept-encoding",
}
NOT_BUILT = "the console is not part of this installation: run `make console` where Node.js is"
LEVEL = 9
OPEN = {"public": True, "limited": False, "any_parameters": True}
"""What its pages are asked for stands in their addresses, and is theirs to read."""


@dataclass(frozen=True)
class BuiltFile:
    """Holds a file as it is sent: plain and compressed."""

    content: bytes
    compressed: bytes
    media_type: str
    etag: str
    cache_control: str


@cache
def built(folder: Path = FOLDER) -> dict[str, BuiltFile]:
    """Return the files of the console by their path; none where it was not built."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): read(path, folder) for path in found}


async def prepare() -> None:
    """Read and compress the files before the first request, and not in the loop that answers others."""
    await asyncio.to_thread(built)


def read(path: Path, folder: Path) -> BuiltFile:
    """Read a built file."""
    content = path.read_bytes()
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    lasting = path.relative_to(folder).as_posix().startswith(NAMED_BY_CONTENT)
    return BuiltFile(
        content,
        gzip.compress(content, LEVEL, mtime=0),
        kind,
        f'"{hashlib.sha256(content).hexdigest()[:32]}"',
        "public, max-age=31536000, immutable" if lasting else "no-cache",
    )


def answer(name: str, request: Request[Any, Any, Any]) -> Response[bytes]:
    """Return a file, or the page that shows all paths without a file; raises RefusedError where there is none."""
    files = built()
    file = files.get(name) or (None if name.startswith(NAMED_BY_CONTENT) else files.get(INDEX))
    if file is None:
        raise RefusedError("not-found", "there is no such file" if files else NOT_BUILT)
    headers = {**HEADERS, "etag": file.etag, "cache-control": file.cache_control}
    if takes_gzip(request.scope["headers"]):
        return Response(file.compressed, media_type=file.media_type, headers={**headers, "content-encoding": "gzip"})
    return Response(file.content, media_type=file.media_type, headers=headers)


@get("/", opt=OPEN, include_in_schema=False, sync_to_thread=False, status_code=302)
def show_first() -> Redirect:
    """Lead to the console."""
    return Redirect(PATH + "/", status_code=302)


@get([PATH, PATH + "/{name:path}"], opt=OPEN, include_in_schema=False, sync_to_thread=False)
def show_console(
    request: Request[Any, Any, Any], name: Annotated[str, PathParameter(max_length=1_000)] = ""
) -> Response[bytes]:
    """Show the console."""
    return answer(name.strip("/"), request)


HANDLERS = [show_first, show_console]
