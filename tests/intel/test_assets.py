from __future__ import annotations

from pathlib import Path

import pytest

from infraspectre.errors import InputError
from infraspectre.intel.assets import Assets
from infraspectre.intel.site import load_site
from infraspectre.records import Asset


def test_the_most_specific_asset_is_found() -> None:
    assets = Assets([Asset("10.0.0.0/8", "site"), Asset("10.0.0.5", "server"), Asset("2001:db8::/32", "lab")])
    assert [assets.find(ip).name for ip in ("10.0.0.5", "10.1.1.1", "2001:db8::1")] == ["server", "site", "lab"]  # type: ignore[union-attr]


@pytest.mark.parametrize("entity", ["192.0.2.1", "::1", "host.example", "", "<b>"])
def test_what_is_not_listed_stays_unknown(entity: str) -> None:
    assert Assets([Asset("10.0.0.0/8")]).find(entity) is None


def test_both_forms_say_the_same(tmp_path: Path) -> None:
    table, document = tmp_path / "a.csv", tmp_path / "a.yaml"
    table.write_text("network,name,owner,criticality\n10.0.0.5,db,Ops,high\n10.0.1.0/24,,,\n", encoding="utf-8")
    document.write_text(
        "assets:\n- {network: 10.0.0.5, name: db, owner: Ops, criticality: high}\n- network: 10.0.1.0/24\n",
        encoding="utf-8",
    )
    for path in (table, document):
        assets = load_site(path).assets
        assert assets.find("10.0.0.5") == Asset("10.0.0.5", "db", "Ops", "high")
        assert assets.find("10.0.1.7") == Asset("10.0.1.0/24")


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("a.csv", "network,criticality\n10.0.0.5,high\n10.0.0.6,huge\n", "a.csv:3"),
        ("a.csv", "network\n10.0.0.5\nnot-a-network\n", "a.csv:3"),
        ("a.csv", "address\n10.0.0.5\n", "a.csv:1"),
        ("a.csv", "network\n10.0.0.5,too,many\n", "a.csv:2"),
        ("a.yaml", "assets:\n- network: 10.0.0.5\n- network: nowhere\n", "a.yaml:3"),
        ("a.yaml", "assets:\n- network: 10.0.0.5\n  criticality: huge\n", "a.yaml:3"),
    ],
)
def test_errors_name_file_and_line(tmp_path: Path, name: str, text: str, place: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_site(tmp_path / name)
    assert caught.value.place.startswith(str(tmp_path / place))
