"""The page in Chromium: no error on its console, wide and narrow, light and dark, sorted by mouse and keyboard.

Skipped where there is no Chromium, or no playwright to drive it. With DCTNET_SCREENSHOTS=FOLDER the pictures are kept.
"""

import io
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dctnet.findings.report_command import report
from dctnet.findings.result_files import read_results

playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives Chromium: pip install playwright")
ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here: apt-get install chromium")

DESKTOP, PHONE = (1280, 900), (375, 800)


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    """A page with every kind of part: attacks, a grid, rates, a benchmark."""
    names = (
        "experiments/attack_imagenet.jsonl",
        "experiments/cifar10_planes.jsonl",
        "experiments/cifar10_bandlimited_rates.json",
    )
    sources = [ROOT / name for name in (*names, "benchmarks/read_imagenet.json", "benchmarks/convolutions.json")]
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(report(read_results(sources)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def opened(browser, page_file):
    """Opens the page in a window; the messages of its console and all that it asked for must be none."""
    contexts, messages, asked = [], [], []

    def opens(size, scheme="light"):
        width, height = size
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            is_mobile=size == PHONE,
            has_touch=size == PHONE,
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(page_file.as_uri())
        return page

    yield opens
    for context in contexts:
        context.close()
    assert messages == []
    assert {url for url in asked if not url.startswith("data:")} == {page_file.as_uri()}


def pixels(page, name):
    shot = page.screenshot()
    if folder := os.environ.get("DCTNET_SCREENSHOTS"):
        Path(folder, f"{name}.png").write_bytes(shot)
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(float)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_page_fits_and_has_its_colours(opened, size, scheme):
    page = opened(size, scheme)
    shot = pixels(page, f"top-{size[0]}-{scheme}")
    assert (np.median(shot) > 200) == (scheme == "light") and shot.std() > 10  # paper, and something on it
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    page.locator("#attacks svg").first.scroll_into_view_if_needed()
    shot = pixels(page, f"attacks-{size[0]}-{scheme}")
    assert (np.median(shot) > 200) == (scheme == "light")
    wide = page.evaluate(
        "[...document.querySelectorAll('svg')].filter(s => s.getBoundingClientRect().right > innerWidth + 1).length"
    )
    assert wide == 0
    assert page.locator("#contents").evaluate("d => d.open") == (size == DESKTOP)


def column(page, number):
    return page.locator("#cost table").first.locator(f"tbody tr > :nth-child({number})").all_inner_texts()


def test_a_click_sorts_and_so_do_keys(opened):
    page = opened(DESKTOP)
    table = page.locator("#cost table").first
    heads = table.locator("thead th").all_inner_texts()
    at = next(k for k, head in enumerate(heads, start=1) if head.startswith("top-1"))
    button = table.locator(f"thead th:nth-child({at}) button")
    before = list(map(float, column(page, at)))
    button.click()
    assert list(map(float, column(page, at))) == sorted(before) != before
    assert table.locator("thead th[aria-sort=ascending]").count() == 1
    button.focus()
    page.keyboard.press("Enter")
    assert list(map(float, column(page, at))) == sorted(before, reverse=True)
    assert table.locator(f"thead th:nth-child({at})").get_attribute("aria-sort") == "descending"


def test_empty_cells_stay_last(opened):
    page = opened(DESKTOP)
    table = page.locator("#speed table").first
    button = table.locator("thead th:nth-child(3) button")
    for _ in range(2):
        button.click()
        cells = table.locator("tbody tr > :nth-child(3)").all_inner_texts()
        empty = [not cell for cell in cells]
        assert any(empty) and empty == sorted(empty)


def test_the_theme_is_chosen_and_remembered(opened):
    page = opened(DESKTOP, "light")
    toggle = page.locator("#theme")
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    toggle.click()
    toggle.click()
    dark = page.evaluate(paper)
    assert toggle.inner_text() == "theme: dark" and dark != light
    page.reload()
    assert page.evaluate(paper) == dark
    page.locator("#theme").click()
    assert page.evaluate(paper) == light


def test_claims_stand_one_below_the_other_on_a_phone(opened):
    """Verdict, theirs and ours are seen without scrolling to the side."""
    page = opened(PHONE)
    inner, outer = page.locator("#claims .scroll").evaluate("b => [b.scrollWidth, b.clientWidth]")
    assert inner <= outer <= PHONE[0]
    for cell in ("th", "td:nth-child(3)", "td:nth-child(5)"):
        box = page.locator(f"#claims tbody tr >> nth=3 >> {cell}").first.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= PHONE[0]


def test_a_wide_table_scrolls_in_its_box(opened):
    page = opened(PHONE)
    box = page.locator("#compared .scroll")
    inner, outer = box.evaluate("b => [b.scrollWidth, b.clientWidth]")
    assert inner > outer <= PHONE[0] and box.get_attribute("tabindex") == "0"
