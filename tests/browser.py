"""A real browser for the tests of pages, and what is asked of every page."""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from playwright import sync_api

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = "--headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync --no-first-run".split()
CONTRAST = """() => {
  const light = color => {
    const [r, g, b] = color.match(/[\\d.]+/g).map(one => one / 255).map(one => one <= .04045 ? one / 12.92 : ((one + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const back = one => { let c; do c = getComputedStyle(one).backgroundColor; while (c.endsWith(", 0)") && (one = one.parentElement)); return c; };
  const texts = [...document.querySelectorAll("p, li, td, th, th button, small, h1, h2, figcaption, caption, summary, code, a")];
  return Math.min(...texts.filter(one => one.innerText && one.checkVisibility()).map(one => {
    const [low, high] = [light(getComputedStyle(one).color), light(back(one))].sort((a, b) => a - b);
    return (high + .05) / (low + .05);
  }));
}"""


@contextlib.contextmanager
def started() -> Iterator[sync_api.Browser]:
    """Yield a browser; fails where there is none."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    with sync_api.sync_playwright() as playwright:
        assert path or Path(playwright.chromium.executable_path).exists(), "there is no Chromium: run scripts/browser.sh"
        found = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield found
        found.close()


@contextlib.contextmanager
def watched(browser: sync_api.Browser, address: str) -> Iterator[Callable[..., sync_api.Page]]:
    """Yield a function that opens the page with these options; fails at the end on an error in it and on any request."""
    trouble, pages = [], []

    def watch(width: int = 1280, scheme: str = "light") -> sync_api.Page:
        page = browser.new_page(viewport={"width": width, "height": 844}, color_scheme=scheme)
        pages.append(page)
        page.on("console", lambda message: trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("dialog", lambda dialog: trouble.append("a script of a name ran"))
        page.on("request", lambda request: trouble.append(request.url) if not request.url.startswith(("data:", address)) else None)
        page.goto(address)
        return page

    yield watch
    for page in pages:
        page.close()
    assert not trouble
