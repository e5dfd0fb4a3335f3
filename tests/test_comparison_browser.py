"""The comparison page in a real browser: it works from a file, offline, sorted by click and key, narrow, and in the dark."""

import base64

import pytest
from browser import CONTRAST
from test_comparison import few_resamples, several  # noqa: F401 (a fixture)

from crm_dedup_plugin.reporting.page import compare

COLUMN = "at => [...document.querySelectorAll('#numbers tbody:first-of-type tr')].map(row => row.cells[at].dataset.order ?? row.cells[at].innerText)"
INK = """image => {
  const canvas = Object.assign(document.createElement("canvas"), {width: 200, height: 150}), context = canvas.getContext("2d");
  context.fillStyle = "white"; context.fillRect(0, 0, 200, 150); context.drawImage(image, 0, 0, 200, 150);
  const pixels = context.getImageData(0, 0, 200, 150).data;
  let drawn = 0;
  for (let at = 0; at < pixels.length; at += 4) drawn += pixels[at] + pixels[at + 1] + pixels[at + 2] < 600;
  return drawn;
}"""
SHADES = """async source => {
  const image = Object.assign(new Image(), {src: "data:image/png;base64," + source});
  await image.decode();
  const canvas = Object.assign(document.createElement("canvas"), {width: image.width, height: image.height}), context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const pixels = context.getImageData(0, 0, image.width, image.height).data;
  let dark = 0, bright = 0;
  for (let at = 0; at < pixels.length; at += 4) {
    const sum = pixels[at] + pixels[at + 1] + pixels[at + 2];
    dark += sum < 240; bright += sum > 560;
  }
  return [dark, bright];
}"""


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> str:
    return next(path for path in compare(places=[several(tmp_path_factory.mktemp("results"))]) if path.suffix == ".html").as_uri()


def column(page, title: str) -> list:
    heads = page.locator("#numbers thead th").all_inner_texts()
    at = next(number for number, head in enumerate(heads) if " ".join(head.split()) == title)
    return page.evaluate(COLUMN, at)


def test_a_click_sorts_and_another_turns_it_round(open_page):
    page = open_page()
    head = page.locator("#numbers thead th", has_text="macro F1")
    before = column(page, "macro F1")
    head.get_by_role("button").click()
    down = column(page, "macro F1")
    assert head.get_attribute("aria-sort") == "descending"
    numbers = [float(one) for one in down[:-1]]
    assert numbers == sorted(numbers, reverse=True) and down != before and down[-1] == "–"
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert column(page, "macro F1") == [*map(str, down[-2::-1]), "–"]


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_the_keyboard_sorts_too(open_page, key):
    page = open_page()
    head = page.locator("#numbers thead th", has_text="flips, records swapped")
    head.get_by_role("button").focus()
    page.keyboard.press(key)
    assert head.get_attribute("aria-sort") == "ascending"
    page.keyboard.press("Shift+Tab")
    page.keyboard.press(key)
    assert page.locator("#numbers thead th", has_text="accuracy").get_attribute("aria-sort") == "descending"
    assert head.get_attribute("aria-sort") == "none"
    assert page.locator("#numbers th[aria-sort=ascending], #numbers th[aria-sort=descending]").count() == 1


def test_speeds_are_sorted_within_each_machine(open_page):
    page = open_page()
    for turned in (True, False):
        page.locator("#numbers thead button").filter(has_text="pairs/s").first.click()
        assert column(page, "speed on") == ["NVIDIA H100"] * 4 + ["Some CPU (2 cores)"] + ["–"] * 3
        numbers = [float(one) for one in column(page, "pairs/s")[:4]]
        assert numbers == sorted(numbers, reverse=turned)


def test_names_are_sorted_as_text_and_rows_without_results_stay_last(open_page):
    page = open_page()
    page.locator("#numbers thead button").first.click()
    names = [name.split("\n")[0] for name in page.locator("#numbers tbody th").all_inner_texts()]
    assert names[0].startswith("<svg onload") and names[1:3] == ["baseline-strings", "baseline-trees"] and "small" in names[7]
    assert page.locator("#numbers tbody").last.get_by_text("not run").count() == len(names) - 8


@pytest.mark.parametrize("width", [390, 1280])
def test_every_figure_is_drawn(open_page, width):
    page = open_page(width)
    images = page.locator("figure img").all()
    assert len(images) > 15
    for image in images:
        assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") > 100
        assert image.evaluate(INK) > 50
        assert len(image.get_attribute("alt")) > 20
        assert image.bounding_box()["width"] > 150


@pytest.mark.parametrize("width", [320, 390, 768])
def test_nothing_but_the_tables_is_wider_than_a_phone(open_page, width):
    page = open_page(width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for table in page.locator(".scroll").all():
        assert table.bounding_box()["width"] <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_text_can_be_read(open_page, scheme):
    page = open_page(scheme=scheme)
    back = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (back == "rgb(18, 23, 29)") == (scheme == "dark")
    assert page.evaluate(CONTRAST) >= 4.5
    card = page.locator(".card").first
    card.scroll_into_view_if_needed()
    dark, bright = page.evaluate(SHADES, base64.b64encode(card.screenshot()).decode())
    assert (dark > bright) == (scheme == "dark") and min(dark, bright) > 500  # the text of a figure stands out from its card


def test_links_within_the_page_lead_somewhere(open_page):
    page = open_page()
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(one => one.id)")
    assert len(ids) == len(set(ids))
    targets = page.evaluate("[...document.querySelectorAll('a')].map(one => one.getAttribute('href'))")
    assert targets and {target.removeprefix("#") for target in targets} <= set(ids)
