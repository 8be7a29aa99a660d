"""Hosts, flows, the ATT&CK matrix and the graph, as people look at them."""

from __future__ import annotations

import json
import re
from pathlib import Path

from playwright.sync_api import Page, expect

from console_pages import Console


def first_row(page: Page) -> str:
    """Return the address of the first host."""
    row = page.locator("[data-row]").first
    expect(row).to_be_visible()
    return row.get_attribute("data-row") or ""


def attacker(console: Console) -> str:
    """Return a host that takes part in an incident: the first one of the list, which begins with the worst."""
    return first_row(console.go("/hosts", "Hosts"))


def test_hosts_are_found_and_sorted(engineer: Console) -> None:
    host = attacker(engineer)
    engineer.page.get_by_label("Find an address or name").fill(host)
    expect(engineer.page).to_have_url(f"{engineer.url}/console/hosts?filter=address%5E{host}&order=-value")
    engineer.page.get_by_role("button", name="Clear").click()
    engineer.page.get_by_role("button", name="Flows").click()
    expect(engineer.page.get_by_role("columnheader", name="Flows")).to_have_attribute("aria-sort", "descending")


def test_a_host_tells_of_itself(engineer: Console) -> None:
    host = attacker(engineer)
    engineer.page.keyboard.press("j")
    engineer.page.keyboard.press("k")
    engineer.page.keyboard.press("Enter")
    expect(engineer.page.get_by_role("heading", level=1, name=host)).to_be_visible()
    chart = engineer.page.get_by_role("slider")
    chart.press("Home")
    expect(chart).to_have_attribute("aria-valuetext", re.compile(r"UTC: flows \d+"))
    engineer.page.get_by_text("As a table").click()
    expect(engineer.page.get_by_role("table", name="Flows, flows per hour")).to_be_visible()
    expect(engineer.page.get_by_role("table", name="Its incidents")).to_be_visible()


def test_engineers_write_down_what_a_host_is(engineer: Console) -> None:
    host = attacker(engineer)
    page = engineer.go(f"/hosts/{host}", host)
    for name in ("gateway of the test", "gateway"):
        page.get_by_role("button", name="Edit asset").click()
        page.get_by_label("Name").fill(name)
        page.get_by_label("Criticality").select_option("high")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_text("gateway", exact=True).first).to_be_visible()


def test_viewers_change_no_asset(viewer: Console) -> None:
    host = attacker(viewer)
    page = viewer.go(f"/hosts/{host}", host)
    expect(page.get_by_role("link", name="Flows of this host")).to_be_visible()
    expect(page.get_by_role("button", name="Edit asset")).to_have_count(0)


def test_flows_are_filtered_by_what_is_built_and_by_what_is_clicked(engineer: Console) -> None:
    page = engineer.go("/flows", "Flows")
    page.get_by_text("Add filter").click()
    page.get_by_label("Column", exact=True).fill("resp_bytes")
    page.get_by_label("Comparison").select_option(">=")
    page.get_by_label("Value").fill("nonsense")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_text("Write a number")).to_be_visible()
    page.get_by_label("Value").fill("0.1 KB")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("button", name="Remove the filter: resp bytes at least 100")).to_be_visible()
    page.get_by_text("Add filter").press("Escape")
    value = page.locator("[data-row] td:nth-child(3) button").first
    address = value.inner_text()
    value.click()
    expect(page.get_by_role("button", name=f"Remove the filter: orig ip is {address}")).to_be_visible()
    assert set(page.locator("[data-row] td:nth-child(3)").all_inner_texts()) == {address}


def test_a_flow_is_shown_whole_and_columns_are_chosen(engineer: Console) -> None:
    page = engineer.go("/flows?fields=started_at,orig_ip,ip_version", "Flows")
    flow = first_row(page)
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    sheet = page.get_by_role("complementary", name="Flow ")
    expect(sheet.get_by_text("Community ID")).to_be_visible()
    page.keyboard.press("k")
    expect(page.get_by_role("complementary", name=f"Flow {flow}")).to_be_visible()
    sheet.get_by_label("Find a column or value").fill("packets")
    expect(sheet.get_by_text("Community ID")).to_have_count(0)
    sheet.get_by_role("button", name="Close").click()
    page.get_by_text("Columns: 3").click()
    page.get_by_label("Find a column").fill("vlan")
    page.get_by_label("VLAN", exact=True).check()
    expect(page.get_by_role("columnheader", name="VLAN")).to_be_visible()
    expect(page).to_have_url(f"{engineer.url}/console/flows?fields=started_at%2Corig_ip%2Cip_version%2Cvlan")


def test_flows_are_taken_along(engineer: Console, tmp_path: Path) -> None:
    page = engineer.go("/flows?fields=started_at,orig_ip", "Flows")
    page.locator("[data-row] input").first.check()
    page.get_by_text("Export", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    download.value.save_as(tmp_path / "flows.csv")
    head, row, *rest = (tmp_path / "flows.csv").read_text().splitlines()
    assert head == "started_at,orig_ip"
    assert row.startswith("20")
    assert rest == []


def test_views_are_kept_and_asked_again(engineer: Console) -> None:
    page = engineer.go("/flows?filter=protocol%3Dudp&order=-resp_bytes", "Flows")
    page.get_by_text("Views", exact=True).click()
    page.get_by_label("Keep what is shown as").fill("largest answers")
    page.get_by_role("button", name="Keep", exact=True).click()
    kept = page.get_by_role("link", name="largest answers")
    expect(kept).to_be_visible()
    engineer.go("/flows", "Flows")
    page.get_by_text("Views", exact=True).click()
    kept.click()
    expect(page.get_by_role("columnheader", name="Received")).to_have_attribute("aria-sort", "descending")
    page.get_by_text("Views", exact=True).click()
    page.get_by_role("button", name="Remove the view largest answers").click()
    expect(kept).to_have_count(0)


def test_the_matrix_is_walked_by_keys_and_taken_along(engineer: Console, tmp_path: Path) -> None:
    page = engineer.go("/attack?all=1", "ATT&CK")
    grid = page.get_by_role("grid", name="ATT&CK matrix")
    grid.locator("td[tabindex='0']").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    title = page.evaluate("document.activeElement.title")
    page.keyboard.press("Enter")
    expect(page.get_by_role("complementary", name=title)).to_be_visible()
    page.keyboard.press("Escape")
    with page.expect_download() as download:
        page.get_by_role("button", name="Navigator layer").click()
    download.value.save_as(tmp_path / "layer.json")
    layer = json.loads((tmp_path / "layer.json").read_text())
    assert layer["versions"]["layer"] == "4.5"
    assert all(each["score"] > 0 for each in layer["techniques"])


def test_sub_techniques_fold_out_and_tell_what_covers_them(engineer: Console) -> None:
    page = engineer.go("/attack?technique=T1021.004", "ATT&CK")
    sheet = page.get_by_role("complementary", name="T1021.004")
    expect(sheet.get_by_text("lateral movement", exact=True)).to_be_visible()
    expect(page.get_by_role("grid").get_by_text("SSH", exact=True)).to_be_visible()


def test_the_graph_is_walked_by_its_list(engineer: Console) -> None:
    page = engineer.go("/graph?days=365", "Graph")
    expect(page.locator("[data-placed=true]")).to_be_visible()
    incident = page.get_by_role("list").get_by_role("button").filter(has_text="incident").first
    incident.click()
    detail = page.get_by_role("region", name="The chosen node")
    expect(detail.get_by_role("link", name="Incident", exact=True)).to_be_visible()
    detail.get_by_role("button", name="Way from here").click()
    page.get_by_role("list").get_by_role("button").filter(has_text="host").first.click()
    expect(page.get_by_role("status").filter(has_text="step")).to_be_visible()
    page.get_by_role("checkbox", name="technique").uncheck()
    expect(page.get_by_role("list", name="Kinds of nodes").get_by_text("technique")).to_have_count(0)


def test_the_graph_begins_and_grows_around_a_host(engineer: Console) -> None:
    host = attacker(engineer)
    page = engineer.go(f"/graph?days=365&depth=1&node=host%3A{host}", "Graph")
    shown = page.get_by_role("figure").locator("figcaption")
    expect(shown).to_contain_text("nodes")
    before = shown.inner_text()
    page.get_by_role("list").get_by_role("button").filter(has_text="incident").first.click()
    page.get_by_role("button", name="Expand").click()
    expect(shown).not_to_have_text(before)
