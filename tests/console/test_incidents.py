"""The pages of incidents: found, judged by keys, and told whole."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, expect

from console_pages import Console
from evidence_rooms import HEAD


def listed(console: Console, address: str = "/incidents?order=-value") -> Locator:
    """Go to the list, and return its rows."""
    console.go(address, "Incidents")
    rows = console.page.get_by_role("table", name="Incidents").locator("tbody tr[data-row]")
    expect(rows.first).to_be_visible()
    return rows


def test_filters_stand_in_the_address_and_find(analyst: Console) -> None:
    rows, page = listed(analyst), analyst.page
    every = rows.count()
    title = rows.first.get_by_role("link").inner_text()
    page.keyboard.press("/")
    page.keyboard.type(title[:20])
    expect(page).to_have_url(re.compile("filter=title"))
    expect(rows).not_to_have_count(every)
    expect(rows.first).to_contain_text(title[:20])
    page.reload()
    expect(rows.first).to_contain_text(title[:20])
    expect(page.get_by_role("searchbox")).to_have_value(title[:20])
    page.get_by_role("button", name="Clear").click()
    expect(rows).to_have_count(every)
    page.get_by_role("searchbox").fill("nothing is called like that")
    expect(page.get_by_text("No incident is like that")).to_be_visible()


def test_facets_and_order(analyst: Console) -> None:
    rows, page = listed(analyst), analyst.page
    page.get_by_text("Severity", exact=True).first.click()
    level = rows.first.locator("td").nth(1).inner_text().split()[-1]
    page.get_by_role("checkbox", name=level).check()
    expect(page).to_have_url(re.compile(f"filter=level%3D{level}"))
    expect(page.get_by_text(f"Severity: {level}")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Score").click()
    expect(page.get_by_role("columnheader", name="Score")).to_have_attribute("aria-sort", "ascending")
    expect(page).to_have_url(re.compile("order=value"))
    assert {row.split()[-1] for row in rows.locator("td:nth-child(2)").all_inner_texts()} == {level}


def test_a_verdict_takes_three_keys_and_can_be_taken_back(analyst: Console) -> None:
    rows, page = listed(analyst), analyst.page
    first, second = rows.nth(0), rows.nth(1)
    page.keyboard.press("j")
    expect(first).to_have_attribute("aria-current", "true")
    page.keyboard.press("2")
    expect(first).to_contain_text("false positive")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").get_by_text("False positive:")).to_be_visible()
    expect(second).to_have_attribute("aria-current", "true")
    expect(first).to_contain_text("closed")
    page.get_by_role("button", name="Undo").click()
    expect(first).not_to_contain_text("false positive")
    expect(first).to_contain_text("new")
    page.keyboard.press("k")
    expect(first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/incidents/[0-9a-f]+$"))


def test_the_same_is_done_with_all_that_are_selected(analyst: Console) -> None:
    rows, page = listed(analyst), analyst.page
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.get_by_role("button", name="Assign to me").click()
    expect(page.get_by_text("2 changed")).to_be_visible()
    expect(rows.nth(0)).to_contain_text("analyst")
    expect(rows.nth(1)).to_contain_text("analyst")


def test_a_viewer_sees_and_cannot_judge(viewer: Console) -> None:
    rows = listed(viewer)
    expect(viewer.page.get_by_role("checkbox", name="Select row 1")).to_have_count(0)
    rows.first.get_by_role("link").click()
    expect(viewer.page.get_by_role("heading", name="What happened")).to_be_visible()
    expect(viewer.page.get_by_role("heading", name="What was it?")).to_have_count(0)


def test_an_incident_is_told_whole(analyst: Console) -> None:
    rows, page = listed(analyst), analyst.page
    title = rows.first.get_by_role("link").inner_text()
    rows.first.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    for heading in (
        "What happened",
        "Who",
        "What to do",
        "When",
        "Who did what to whom",
        "Evidence",
        "Packets",
        "Why this score",
    ):
        expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
    expect(page.get_by_role("table", name="Detections in order of time").locator("tr[data-row]").first).to_be_visible()
    expect(page.get_by_role("table", name="Flows behind the findings").locator("tr[data-row]").first).to_be_visible()
    page.get_by_role("textbox", name="Comment").fill("seen before")
    page.get_by_role("radio", name="benign").check(force=True)
    page.get_by_role("button", name="Give verdict").click()
    given = page.get_by_role("region", name="Verdicts given").get_by_role("listitem").filter(has_text="seen before")
    expect(given).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Report, HTML").click()
    assert title.split()[0] in download.value.path().read_text()
    given.get_by_role("button", name="Take back").click()
    expect(given).to_have_count(0)


def test_packets_are_downloaded_and_sensors_asked_again(analyst: Console) -> None:
    page = analyst.page
    listed(analyst).first.get_by_role("link").click()
    expect(page.get_by_text("All packets that sensors were asked for are there.")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the packets").click()
    assert download.value.path().read_bytes() == HEAD + b"what was said"
    assert download.value.suggested_filename.endswith(".pcapng")
    page.get_by_role("button", name="Ask sensors again").click()
    expect(page.get_by_text("Sensors are being asked for the packets.")).to_be_visible()


def test_a_step_of_the_plan_is_refused_and_taken_back(analyst: Console) -> None:
    page = analyst.page
    listed(analyst).first.get_by_role("link").click()
    page.get_by_role("button", name="Refuse").first.click()
    expect(page.get_by_text("by analyst").first).to_be_visible()
    page.get_by_role("region", name="What to do").get_by_role("button", name="Take back").first.click()
    expect(page.get_by_role("button", name="Refuse").first).to_be_visible()


def test_an_incident_that_is_not_there(analyst: Console) -> None:
    analyst.turn("/console/incidents/none")
    expect(analyst.page.get_by_role("alert")).to_contain_text("there is no such incident")
    analyst.turn("/console/settings")  # nobody asks for it any more
    analyst.errors.clear()  # the browser tells of each 404
