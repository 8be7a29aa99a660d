"""Programs in disguise or from bare addresses are found; pages and named downloads weigh little or nothing."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from flow_rows import flow, frame
from infraspectre.soma.file_download import FileDownload
from soma_runs import found_in

OUTSIDE = "203.0.113.9"


def got(mime: str, host: str, uri: str, declared: str, **columns: Any) -> dict[str, Any]:
    lists: dict[str, Any] = {
        "http_mime_types": [mime],
        "http_hosts": [host],
        "http_uris": [uri],
        "http_content_types": [declared],
    }
    where: dict[str, Any] = {"resp_ip": OUTSIDE, "resp_port": 80}
    return flow(**(where | lists | columns))


@pytest.mark.parametrize(
    ("row", "category", "severity"),
    [
        (got("application/x-dosexec", "cdn.example", "/logo.png", "image/png"), "suspicious_file_download", "high"),
        (
            got("application/x-dosexec", OUTSIDE, "/a.exe", "application/octet-stream"),
            "suspicious_file_download",
            "medium",
        ),
        (got("application/x-executable", "", "/x", ""), "suspicious_file_download", "medium"),
        (got("text/x-script", f"{OUTSIDE}:8080", "/i.sh", "text/plain"), "suspicious_file_download", "low"),
        (
            got("application/x-dosexec", "dl.example", "/setup.exe", "application/x-msdownload"),
            "cleartext_executable",
            "low",
        ),
    ],
)
def test_a_program_is_judged_by_where_it_came_from(row: dict[str, Any], category: str, severity: str) -> None:
    assert [(each.category, each.severity) for each in found_in(FileDownload, frame([row]))] == [(category, severity)]


def test_pages_and_unknown_bodies_are_quiet() -> None:
    page = got("text/html", OUTSIDE, "/", "text/html")
    unknown = got("", OUTSIDE, "/x.exe", "application/octet-stream")
    script = got("text/x-script", "get.example", "/install.sh", "text/plain")
    assert found_in(FileDownload, frame([page, unknown, script])) == []


def test_lists_of_different_length_are_not_paired() -> None:
    row = got("application/x-dosexec", OUTSIDE, "/a.png", "image/png") | {
        "http_mime_types": ["text/html", "application/x-dosexec"]
    }
    assert [each.category for each in found_in(FileDownload, frame([row]))] == ["cleartext_executable"]


def fetched(at: float, agent: str = "Mozilla/5.0") -> dict[str, Any]:
    row = got("application/x-dosexec", "dl.example", "/setup.exe", "", http_user_agents=[agent])
    return row | {name: flow(at)[name] for name in ("started_at", "ended_at")}


def severities(*rows: dict[str, Any], callers: float = 1.0) -> list[str]:
    flows = frame([flow(0.0), *rows]).with_columns(resp_host_orig_hosts=pl.lit(callers, pl.Float32))
    return [each.severity for each in found_in(FileDownload, flows, size=1)]


def test_a_program_fetched_by_hand_where_nobody_else_goes_is_found() -> None:
    assert severities(fetched(7_200.0)) == ["low", "medium"]
    assert severities(fetched(7_200.0, agent="Microsoft-Delivery-Optimization/10.0")) == ["informational"]
    assert severities(fetched(7_200.0), callers=3.0) == ["low"]
    assert severities(fetched(600.0)) == ["low"]
    assert severities(fetched(7_200.0), flow(7_300.0, orig_ip="10.0.0.6", resp_ip=OUTSIDE, resp_port=80)) == ["low"]
