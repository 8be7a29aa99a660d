"""HTTP/1.1 messages (RFC 9112)."""

from __future__ import annotations

from collections.abc import Mapping

REASONS = {
    200: "OK", 204: "No Content", 206: "Partial Content", 301: "Moved Permanently", 302: "Found", 304: "Not Modified",
    401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 500: "Internal Server Error",
    503: "Service Unavailable",
}  # fmt: skip
BROWSER = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
)


def _message(start: str, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [start, *(f"{field}: {value}" for field, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def request(
    host: str, target: str, method: str = "GET", agent: str = BROWSER, body: bytes = b"", **headers: str
) -> bytes:
    """Build a request; more header fields are given as keywords, with `_` for `-`."""
    fields = {"Host": host, "User-Agent": agent, "Accept": "*/*"}
    fields |= {field.replace("_", "-"): value for field, value in headers.items()}
    if body or method in ("POST", "PUT"):
        fields["Content-Length"] = str(len(body))
    return _message(f"{method} {target} HTTP/1.1", fields, body)


def response(
    status: int = 200, body: bytes = b"", kind: str = "text/html; charset=utf-8", server: str = "nginx", **headers: str
) -> bytes:
    """Build a response with its content type and length."""
    fields = {"Server": server, "Content-Type": kind, "Content-Length": str(len(body))}
    fields |= {field.replace("_", "-"): value for field, value in headers.items()}
    return _message(f"HTTP/1.1 {status} {REASONS[status]}", fields, body)


def page(title: str, size: int) -> bytes:
    """Write an HTML page of about a size in bytes."""
    paragraph = f"<p>{title}: an ordinary paragraph of an ordinary page.</p>\n"
    body = paragraph * (size // len(paragraph) + 1)
    return f"<!doctype html><html><head><title>{title}</title></head><body>\n{body}</body></html>\n".encode()
