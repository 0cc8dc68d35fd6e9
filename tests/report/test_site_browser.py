"""The report in a real browser: links, sorting, theme, structures; no error on the console, no outside request."""

import shutil

import pytest
from report_results import HOSTILE, RESULTS, copy_results

from compbench_jax.cli.main import run_command

pytestmark = pytest.mark.slow

REASON = "needs a browser: pip install selenium, and Debian's packages chromium and chromium-driver"
selenium = pytest.importorskip("selenium", reason=REASON)
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
if not (CHROMIUM and DRIVER):
    pytest.skip(REASON, allow_module_level=True)

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--enable-unsafe-swiftshader", "--window-size=1280,900",
)  # fmt: skip


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    for task in ("chain_extension", "fragment_duplication"):
        copy_results(RESULTS / f"{task}-mace-seed0", folder / "results" / f"{task}-a", shown=True)
        copy_results(RESULTS / f"{task}-schnet-seed0", folder / "results" / f"{task}-b")
        copy_results(
            RESULTS / f"{task}-mace-seed0", folder / "results" / f"{task}-c", model=HOSTILE, factor=1.1, shown=True
        )
    run_command(["report", str(folder / "results"), "--out", str(folder / "report")])
    return folder / "report"


@pytest.fixture(scope="module")
def browser():
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = CHROMIUM
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


def requests(browser):
    """Addresses asked for since the last call."""
    import json

    events = (json.loads(entry["message"])["message"] for entry in browser.get_log("performance"))
    return [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]


def open_page(browser, path):
    browser.get(path.as_uri())
    waited = (
        "return [...document.querySelectorAll('.plot')].filter(p => p.offsetParent && !p.querySelector('svg')).length"
    )
    for _ in range(100):
        if browser.execute_script(waited) == 0:
            return
        browser.implicitly_wait(0.1)
    raise AssertionError(f"{path.name}: figures are missing")


def test_every_link_leads_to_a_page_without_errors(browser, report):
    todo, seen = [report / "index.html"], set()
    while todo:
        page = todo.pop()
        if page in seen:
            continue
        seen.add(page)
        open_page(browser, page)
        assert browser.get_log("browser") == [], page
        assert browser.title.endswith("compbench_jax")
        assert not browser.execute_script("return document.documentElement.scrollWidth > innerWidth"), page
        links = browser.execute_script("return [...document.querySelectorAll('a[href]')].map(a => a.href)")
        assert all(link.startswith("file://") for link in links)
        todo += [report / link.split("#")[0].rsplit("/", 1)[1] for link in links]
        assert all(url.startswith(("file://", "data:", "blob:")) for url in requests(browser))
    assert len(seen) == len(list(report.glob("*.html")))


def test_the_leaderboard_sorts_and_filters(browser, report):
    open_page(browser, report / "index.html")
    column = (
        "return [...document.querySelectorAll('#leaderboard tbody tr')].filter(r => !r.hidden)"
        ".map(r => r.cells[3].dataset.value)"
    )
    heads = browser.find_elements("css selector", "#leaderboard thead button")
    heads[3].click()
    rising = [float(value) for value in browser.execute_script(column)]
    assert rising == sorted(rising) and len(rising) == 6
    heads[3].click()
    assert [float(value) for value in browser.execute_script(column)] == rising[::-1]
    assert heads[3].find_element("xpath", "..").get_attribute("aria-sort") == "descending"
    browser.find_elements("css selector", "[data-filter]")[1].click()
    assert len(browser.execute_script(column)) == 3


def test_theme_is_switched_and_kept(browser, report):
    open_page(browser, report / "index.html")
    ground = "return getComputedStyle(document.body.parentElement).backgroundColor"
    before = browser.execute_script(ground)
    browser.find_element("id", "theme").click()
    after = browser.execute_script(ground)
    assert before != after
    open_page(browser, report / "published.html")
    assert browser.execute_script(ground) == after
    browser.find_element("id", "theme").click()
    assert browser.get_log("browser") == []


def test_structures_open(browser, report):
    page = next(path for path in report.glob("model-*.html") if "alert" in path.name)
    open_page(browser, page)
    buttons = browser.find_elements("css selector", ".viewer button")
    assert len(buttons) == 4
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", buttons[0])
    buttons[0].click()
    for _ in range(50):
        if browser.find_elements("css selector", ".viewer[data-shown] canvas"):
            break
        browser.implicitly_wait(0.1)
    canvas = browser.find_element("css selector", ".viewer[data-shown] canvas")
    assert canvas.size["width"] > 100 and canvas.size["height"] > 100
    errors = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert errors == []
    # The hostile name is text on the page, and nothing popped up.
    assert HOSTILE in browser.find_element("tag name", "h1").text


def test_parity_of_another_model(browser, report):
    open_page(browser, report / "task-chain_extension.html")
    groups = "return [...document.querySelectorAll('[data-group=parity]')].map(g => g.offsetParent === null)"
    assert browser.execute_script(groups) == [False, True, True]
    browser.execute_script(
        "const s = document.getElementById('choose'); s.value = '2'; s.dispatchEvent(new Event('change'))"
    )
    assert browser.execute_script(groups) == [True, False, True]
    shown = "return document.querySelectorAll('[data-group=parity]:not([hidden]) svg').length"
    assert browser.execute_script(shown) > 0


def test_a_phone_sees_everything_without_scrolling_sideways(browser, report):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 375, "height": 800, "deviceScaleFactor": 2, "mobile": True}
    )
    try:
        for page in sorted(report.glob("*.html")):
            open_page(browser, page)
            assert browser.execute_script("return document.documentElement.scrollWidth") <= 375, page.name
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
