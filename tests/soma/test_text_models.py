"""What of a name or value is judged, and what the built-in models say of some."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import infraspectre
from infraspectre import modelbook
from infraspectre.adapters.models import load_model
from infraspectre.errors import InputError
from infraspectre.soma.text_models import GeneratedDomains, Parameters, TunnelNames, registered_label

MODELS = Path(infraspectre.__file__).parent / "models"


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("www.example.com", "example"),
        ("Example.COM.", "example"),
        ("a.b.example.co.uk", "example"),
        ("co.uk", "co"),
        ("xkqz.ddns.net", "xkqz"),
        ("ddns.net", "ddns"),
        ("d111111abcdef8.cloudfront.net", "cloudfront"),
        ("xn--mller-kva.de", "muller"),
        ("xn--99999999.de", "xn--99999999"),
        ("localhost", "localhost"),
        ("", ""),
        ("...", ""),
    ],
)
def test_the_registered_label_is_judged(name: str, label: str) -> None:
    assert registered_label(name) == label


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("www.example.com", "com"),
        ("a.example.co.uk", "co.uk"),
        ("xkqz.ddns.net", "ddns.net"),
        ("localhost", ""),
        ("", ""),
    ],
)
def test_what_a_domain_is_registered_below_stands_beside_it(name: str, ending: str) -> None:
    assert GeneratedDomains.context(name) == ending


@pytest.mark.parametrize("column", ["domain", "Domain_Name", "query", "dns_query", "host", "FQDN", "name", "rrname"])
def test_predictions_are_made_of_columns_that_logs_call_otherwise(column: str, tmp_path: Path) -> None:
    pl.DataFrame({"id": [7, 8], column: ["xkqjvwzprtfhm.com", "wikipedia.org"]}).write_csv(tmp_path / "names.csv")
    modelbook.predict(modelbook.open_model("builtin:dga"), tmp_path / "names.csv", tmp_path / "judged.csv")
    assert pl.read_csv(tmp_path / "judged.csv")["label"].to_list() == ["dga", "benign"]


def test_a_table_without_names_is_refused(tmp_path: Path) -> None:
    pl.DataFrame({"id": [7], "sitename": ["a.com"]}).write_csv(tmp_path / "names.csv")
    with pytest.raises(InputError, match=r"names\.csv: domain: the column is missing; the table has id, sitename"):
        modelbook.predict(modelbook.open_model("builtin:dga"), tmp_path / "names.csv", tmp_path / "judged.csv")


def test_what_is_before_the_domain_may_carry_data() -> None:
    assert TunnelNames.read("Dead.Beef.t.example.co.uk") == "Dead.Beef.t"
    assert TunnelNames.read("example.com") == ""


def test_percent_encoding_is_undone_twice() -> None:
    assert Parameters.read("%2527+OR+1") == "' or 1"


def test_generated_domains_are_told_from_chosen_ones() -> None:
    model = GeneratedDomains.restore(load_model(MODELS / "dga")[1])
    names = [
        "xkqjvwzprtfhm.com",
        "qpwz7xk2vj9d1mtb4.net",
        "wikipedia.org",
        "xn--mller-kva.de",
        "d1x8v9qz.cloudfront.net",
    ]
    assert model.judge(pl.DataFrame({"domain": names})).labels == ["dga", "dga", "benign", "benign", "benign"]


def test_names_that_carry_data_are_told_from_hosts() -> None:
    model = TunnelNames.restore(load_model(MODELS / "dns-tunnel")[1])
    carried = (
        "3f9a01708c9a5c923700382d8736652fa63a15c9c377021af3026be1370f.c5ebd88050b500e2c8edf0042e0e02.t.example.com"
    )
    names = [carried, "mail.example.com", "4.3.2.1.in-addr.arpa"]
    assert model.judge(pl.DataFrame({"query": names})).labels == ["tunnel", "benign", "benign"]


def test_attacks_are_told_from_values() -> None:
    model = Parameters.restore(load_model(MODELS / "http-parameters")[1])
    values = [
        "1' union select null,null--",
        "<script>alert(1)</script>",
        "../../../etc/passwd",
        "O'Brien",
        "Main St. 12",
    ]
    assert model.judge(pl.DataFrame({"payload": values})).labels == [
        "sqli",
        "xss",
        "path-traversal",
        "benign",
        "benign",
    ]


@pytest.mark.parametrize("name", ["dga", "dns-tunnel", "http-parameters"])
def test_built_in_models_are_small_and_have_a_card(name: str) -> None:
    assert sum(path.stat().st_size for path in (MODELS / name).rglob("*") if path.is_file()) < 2 << 20
    assert "## Limits" in (MODELS / name / "README.md").read_text()
