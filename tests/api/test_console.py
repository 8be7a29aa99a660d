from __future__ import annotations

import pytest
from litestar.testing import TestClient

from infraspectre.api import console
from infraspectre.api.console import BuiltFile
from infraspectre.api.frame import Api


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"index.html": BuiltFile(b"<!doctype html>", b"", "text/html", '"1"', "no-cache")}
    monkeypatch.setattr(console, "built", lambda: files)


@pytest.mark.usefixtures("built")
def test_a_link_with_a_question_leads_to_the_page(client: TestClient[Api]) -> None:
    headers = {"accept": "text/html,*/*;q=0.8", "accept-encoding": "identity"}
    answer = client.get("/console/incidents?filter=level%3Dhigh&order=-value", headers=headers)
    assert (answer.status_code, answer.text) == (200, "<!doctype html>")
    assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.usefixtures("built")
def test_a_file_that_is_not_there_is_not_the_page(client: TestClient[Api]) -> None:
    assert client.get("/console/assets/none.js").status_code == 404
