"""The pages by which the platform is run and improved: users, keys, integrations, rules, models, settings, audit."""

from __future__ import annotations

from playwright.sync_api import Browser, Page, expect

from console_pages import Console


def rows(page: Page, table: str) -> str:
    return page.get_by_role("table", name=table).inner_text()


def test_a_user_is_added_disabled_and_removed(administrator: Console) -> None:
    page = administrator.go("/users", "Users and keys")
    page.get_by_role("button", name="Add a user").click()
    page.get_by_label("Name").fill("grace")
    page.get_by_label("Role", exact=True).select_option("analyst")
    page.get_by_label("First password").fill("a password that is long enough")
    page.get_by_role("button", name="Add", exact=True).click()
    row = page.get_by_role("row", name="grace")
    expect(row).to_contain_text("may log in")
    row.get_by_role("button", name="Disable").click()
    expect(row).to_contain_text("disabled")
    row.get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(row).to_have_count(0)


def test_what_the_server_refuses_is_told_beside_its_field(administrator: Console) -> None:
    page = administrator.go("/users", "Users and keys")
    page.get_by_role("button", name="Add a user").click()
    page.get_by_label("Name").fill("grace")
    page.get_by_label("First password").fill("short")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_label("First password")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Name")).to_have_value("grace")
    administrator.errors.clear()  # a browser calls every answer that refuses an error


def test_a_key_is_shown_once_and_revoked(administrator: Console) -> None:
    page = administrator.go("/users?tab=keys", "Users and keys")
    page.get_by_role("button", name="Make a key").click()
    page.get_by_label("What it is for").fill("soar")
    page.get_by_role("button", name="Make it").click()
    expect(page.get_by_role("dialog").get_by_text("isk_")).to_be_visible()
    page.get_by_role("button", name="I have kept it").click()
    expect(page.get_by_text("isk_")).to_have_count(0)
    page.get_by_role("row", name="soar").get_by_role("button", name="Revoke").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("row", name="soar")).to_have_count(0)


def test_a_receiver_that_cannot_be_reached_is_told_of(administrator: Console) -> None:
    page = administrator.go("/integrations", "Integrations")
    page.get_by_role("button", name="Add one").click()
    page.get_by_label("What it is").select_option("syslog")
    page.get_by_label("Name").fill("siem")
    page.get_by_label("Where to").fill("tls://siem.invalid:6514")
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_role("button", name="siem").click()
    page.get_by_role("button", name="Send a test").click()
    expect(page.get_by_text("Not taken:")).to_be_visible()
    page.get_by_role("dialog").get_by_role("button", name="Remove").first.click()
    page.get_by_role("dialog", name="Remove siem?").get_by_role("button", name="Remove").click()
    expect(page.get_by_text("Nobody else is told yet")).to_be_visible()


def test_rules_are_listed_opened_and_tried(administrator: Console) -> None:
    page = administrator.go("/rules", "Rules")
    page.get_by_role("link").filter(has_text="-").first.wait_for()
    page.get_by_role("link", name="Try a rule").click()
    page.get_by_label("Text").fill("rules: 7")
    page.get_by_role("button", name="Try it").click()
    expect(page.get_by_role("heading", name="It cannot be read")).to_be_visible()


def test_models_say_how_good_they_are(administrator: Console) -> None:
    page = administrator.go("/models", "Models")
    page.get_by_role("link", name="builtin:flow").click()
    expect(page.get_by_role("heading", name="Report card")).to_be_visible()
    expect(page.get_by_text("Share of each column")).to_be_visible()


def test_a_setting_is_found_by_its_meaning(administrator: Console) -> None:
    page = administrator.go("/settings?tab=platform", "Settings")
    page.get_by_label("Find a setting").fill("retention_days")
    expect(page.get_by_role("heading", name="log", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", name="server", exact=True)).to_have_count(0)


def test_one_logs_out_everywhere_else(browser: Browser, served: str, viewer: Console) -> None:
    with Console.of(browser, served, "viewer") as other:
        page = viewer.go("/settings", "Settings")
        known = page.get_by_role("table", name="Where you are logged in").locator("tbody tr")
        expect(known.filter(has_text="Chrome").nth(1)).to_be_visible()
        page.get_by_role("button", name="Log out everywhere else").click()
        expect(known).to_have_count(1)
        expect(known).to_contain_text("here")
        other.page.reload()
        expect(other.page.get_by_role("button", name="Log in")).to_be_visible()


def test_the_audit_tells_of_changes(administrator: Console) -> None:
    page = administrator.go("/audit?operation=open_session", "Audit")
    assert "administrator" in rows(page, "Events of the audit")


def test_a_value_is_looked_up(administrator: Console) -> None:
    page = administrator.go("/intelligence?tab=look-up", "Intelligence")
    page.get_by_label("One a line").fill("203.0.113.249")
    page.get_by_role("button", name="Look up", exact=True).click()
    expect(page.get_by_role("heading", name="203.0.113.249")).to_be_visible()


def test_a_viewer_is_offered_nothing_that_a_viewer_may_not_do(viewer: Console) -> None:
    expect(viewer.page.get_by_role("link", name="Users and keys")).to_have_count(0)
    viewer.go("/models", "Models")
    expect(viewer.page.get_by_role("button", name="Learn from verdicts")).to_have_count(0)
