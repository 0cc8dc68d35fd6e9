"""The report in a real browser, wide and on a phone, light and dark: nothing overlaps, is cut off, small or broken."""

import os
import shutil
from pathlib import Path

import pytest
from report_results import HOSTILE, RESULTS, ROOT, copy_results

from compbench_jax.cli.main import run_command

pytestmark = pytest.mark.slow

playwright = pytest.importorskip("playwright.sync_api", reason="needs a browser: pip install playwright")
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ["--no-sandbox", "--disable-background-networking", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
SCREENS = {"desktop": (1280, 900), "phone": (390, 844)}

AUDIT = """() => {
  const found = [], shown = e => { const b = e.getBoundingClientRect(); return b.width > 1 && b.height > 1; };
  if (document.documentElement.scrollWidth > innerWidth) found.push("the page scrolls sideways");
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim(), parent = walker.currentNode.parentElement;
    if (!text || parent.closest("script") || !shown(parent)) continue;
    const size = parseFloat(getComputedStyle(parent).fontSize);
    if (size < 11) found.push(`${size} px: ${text.slice(0, 40)}`);
  }
  const what = ".plot text, h1, h2, h3, .chips button, .series b, .series button, .legend li, .downloads, .search, "
    + ".png, thead button, .viewer button, .stack > span, .ends, .picture b, .picture .name, .bar a, #theme";
  const items = [...document.querySelectorAll(what)].filter(e => shown(e) && e.textContent.trim() + e.className);
  const boxes = items.map(e => e.getBoundingClientRect());
  const say = e => `${e.closest("[data-figure]")?.dataset.figure || e.tagName} "${e.textContent.trim().slice(0, 30)}"`;
  items.forEach((a, i) => items.slice(i + 1).forEach((b, k) => {
    const p = boxes[i], q = boxes[i + 1 + k];
    const wide = Math.min(p.right, q.right) - Math.max(p.left, q.left);
    const high = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
    if (wide > 1 && high > 1 && !a.contains(b) && !b.contains(a)) found.push(`${say(a)} lies on ${say(b)}`);
  }));
  document.querySelectorAll(".plot").forEach(plot => {
    const frame = plot.getBoundingClientRect();
    plot.querySelectorAll("text").forEach(text => {
      const box = text.getBoundingClientRect();
      const across = box.left < frame.left - 1 || box.right > frame.right + 1;
      if (shown(text) && (across || box.top < frame.top - 1 || box.bottom > frame.bottom + 1))
        found.push(`${say(text)} is cut off`);
    });
  });
  return found;
}"""


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The leaderboard of the repository, and a potential with a hostile name and two seeds."""
    folder = tmp_path_factory.mktemp("browser")
    for seed in (0, 1):
        source = RESULTS / "chain_extension-mace-seed0"
        copy_results(source, folder / "more" / f"{seed}", model=HOSTILE, seed=seed, factor=1 + seed / 50, shown=True)
    run_command(["report", str(ROOT / "leaderboard"), str(folder / "more"), "--out", str(folder / "report")])
    return folder / "report"


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as tools:
        own = tools.chromium.executable_path
        path = os.environ.get("COMPBENCH_BROWSER") or next(filter(None, map(shutil.which, NAMES)), own)
        if not Path(path).exists():
            pytest.skip("needs a browser: playwright install chromium, or COMPBENCH_BROWSER=/path/to/chromium")
        driver = tools.chromium.launch(executable_path=path, args=FLAGS)
        yield driver
        driver.close()


@pytest.fixture
def opened(browser, report):
    """Open a page: ``opened("index.html#kind=trained", "phone", "dark")``; at the end nothing may have gone wrong."""
    errors, contexts = [], []

    def request(asked):
        if not asked.url.startswith(("file://", "data:", "blob:")):
            errors.append(f"asked for {asked.url}")

    def opener(address, screen="desktop", scheme="light"):
        width, height = SCREENS[screen]
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, has_touch=screen == "phone"
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(f"{address}: {error}"))
        page.on("console", lambda line: errors.append(f"{address}: {line.text}") if line.type == "error" else None)
        page.on("request", request)
        page.goto(f"{report.as_uri()}/{address}")
        page.wait_for_function(
            "[...document.querySelectorAll('.plot')].every(p => !p.offsetParent || p.querySelector('.main-svg'))"
        )
        return page

    yield opener
    for context in contexts:
        context.close()
    assert errors == []


def names(report):
    return sorted(path.name for path in report.glob("*.html"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", SCREENS)
def test_every_page_is_readable(opened, report, screen, scheme):
    found = {}
    for name in names(report):
        page = opened(name, screen, scheme)
        assert page.evaluate("document.documentElement.dataset.theme") == scheme
        found[name] = page.evaluate(AUDIT)
        page.context.close()
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_every_link_inside_the_report_leads_to_a_page(opened, report):
    todo, seen = ["index.html"], set()
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        page = opened(name)
        links = page.evaluate("[...document.querySelectorAll('a[href]')].map(a => a.href)")
        here = [link.split("#")[0].rsplit("/", 1)[1] for link in links if link.startswith("file://")]
        assert all((report / link).exists() for link in here)
        todo += [link for link in here if link.endswith(".html")]
        page.context.close()
    assert sorted(seen) == names(report)


def visible(page):
    return page.eval_on_selector_all(
        "#leaderboard tbody tr",
        "rows => rows.filter(r => !r.hidden).map(r => r.cells[0].querySelector('a').textContent)",
    )


def test_the_leaderboard_filters_sorts_and_is_kept_in_its_address(opened):
    page = opened("index.html")
    everything = visible(page)
    assert len(everything) == 12
    page.click("[data-kind=trained]")
    assert 0 < len(visible(page)) < len(everything)
    page.click("[data-key=fragment_fission-COOH]")
    page.click("[data-key=fragment_fission-COOH]")
    column = (
        "[...document.querySelectorAll('#leaderboard tbody tr')].filter(r => !r.hidden)"
        ".map(r => parseFloat(r.cells[6].dataset.ood)).filter(x => x)"
    )
    values = page.evaluate(column)
    assert len(values) > 3 and values == sorted(values, reverse=True)
    page.click("[data-metric=ratio]")
    page.fill("#search", "small")
    shown, address = visible(page), page.url
    assert shown and all("small" in name for name in shown)
    assert address.endswith("#kind=trained&sort=-fragment_fission-COOH&metric=ratio&q=small")
    again = opened(address.rsplit("/", 1)[1], "phone")
    assert visible(again) == shown
    assert again.get_attribute("#leaderboard", "data-metric") == "ratio"
    assert again.get_attribute("[data-kind=trained]", "aria-pressed") == "true"
    again.fill("#search", "nothing like that")
    assert visible(again) == [] and again.is_visible("#none")


def test_headings_explain_themselves_to_mouse_and_keyboard(opened):
    page = opened("index.html")
    assert page.is_hidden("#tip")
    for selector in page.eval_on_selector_all("thead button", "all => all.map(b => `[data-key=${b.dataset.key}]`)"):
        page.hover(selector)
        assert page.is_visible("#tip") and len(page.inner_text("#tip")) > 10
    page.keyboard.press("Escape")
    assert page.is_hidden("#tip")
    page.focus("[data-key=mean]")
    assert "Geometric mean" in page.inner_text("#tip")


def test_one_choice_of_models_is_for_all_figures(opened):
    page = opened("task-chain_extension.html")
    bars = "[...document.querySelectorAll('.figures .plot')].map(p => new Set(p.data.map(t => t.meta)).size)"
    assert set(page.evaluate(bars)) == {4}
    page.click(".series [aria-pressed=true] >> nth=0")
    assert set(page.evaluate(bars)) == {3}
    again = opened(page.url.rsplit("/", 1)[1])
    assert set(again.evaluate(bars)) == {3}
    again.click("[data-all]")
    assert set(again.evaluate(bars)) == {12} and again.evaluate(AUDIT) == []
    page.select_option("#choose", "MACE-small")
    assert page.url.endswith("predictions=MACE-small")
    assert page.locator("[data-group=parity]:visible").count() == 1


def test_structures_are_pictures_until_they_are_opened(opened, report):
    name = next(name for name in names(report) if "alert" in name)
    page = opened(name)
    assert HOSTILE in page.inner_text("h1")
    boxes = page.locator(".viewer")
    assert boxes.count() == page.locator(".viewer svg.poster").count() == 2
    assert page.evaluate("typeof $3Dmol") == "undefined"
    page.click(".viewer button >> nth=0")
    page.wait_for_selector(".viewer[data-shown] canvas")
    assert page.locator(".viewer svg.poster").count() == 1


def test_theme_is_switched_and_kept(opened):
    page = opened("index.html")
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    before = page.evaluate(ground)
    page.click("#theme")
    assert page.evaluate(ground) != before
    page.click("a[href='published.html']")
    assert page.evaluate(ground) != before


def test_figures_are_downloaded(opened):
    page = opened("task-chain_extension.html")
    with page.expect_download() as started:
        page.click(".png >> nth=0")
    assert started.value.suggested_filename == "chain_extension-by-n.png"
