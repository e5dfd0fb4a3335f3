"""How text becomes HTML and Markdown in which nothing but what a template says is markup: text from a file is only text."""

from __future__ import annotations

import base64
import hashlib
import unicodedata
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

MARKDOWN = str.maketrans({one: f"\\{one}" for one in "\\`*_[]|~#"} | {"&": "&amp;", "<": "&lt;", ">": "&gt;"})

KEPT = "\u200c\u200d"  # joiners: Persian words and emoji need them
LINE_BREAKS = dict.fromkeys(map(ord, "\r\n\v\f\x85\u2028\u2029"), " ")
LONGEST = 160


def environment(autoescape: bool = False) -> Environment:
    """Return what reads the templates of this folder."""
    found = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    found.filters |= {"clean": clean, "rich": rich, "md": markdown, "value": plain, "number": "{:,}".format, "share": share}
    found.globals["sha256"] = sha256
    return found


def pages(name: str, context: dict[str, Any]) -> dict[str, str]:
    """Return a page as "html" and as "md", from the templates NAME.html and NAME.md."""
    return {form: environment(autoescape=form == "html").get_template(f"{name}.{form}").render(context) for form in ("html", "md")}


def share(value: float) -> str:
    """Return a share in percent: nearly all is not all, and nearly none is not none.

    >>> share(1), share(0.99996), share(0.994), share(0.00001), share(0)
    ('100%', '99.9%', '99.4%', '0.1%', '0%')
    """
    return f"{value:.0%}" if value in (0, 1) else f"{min(max(value, 0.001), 0.999):.1%}"


def sha256(text: str) -> str:
    """Return the hash of a style or a script, as a content security policy names it."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def clean(text: str) -> str:
    """Return text without control characters and line breaks, which names of folders may hold."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)


def rich(text: str) -> Markup:
    """Return text as HTML; what is in backticks becomes code."""
    parts = clean(text).split("`")
    return Markup("").join(Markup("<code>{}</code>").format(part) if number % 2 else escape(part) for number, part in enumerate(parts))


def markdown(text: str) -> str:
    """Return text as Markdown in which nothing but the backticks is markup.

    >>> markdown("a_b | `make kpi-a_b`")
    'a\\\\_b \\\\| `make kpi-a_b`'
    """
    parts = clean(text).split("`")
    coded = ["`" + part.replace("|", "\\|") + "`" if number % 2 else part.translate(MARKDOWN) for number, part in enumerate(parts) if part]
    return "".join(coded)  # an empty `` would open code that never ends


def printable(text: str, longest: int = LONGEST) -> str:
    """Return text in one line, without characters that nobody sees or that turn the direction of what follows, and not too long.

    >>> printable("Ann\\n\\u202eLee"), printable("x" * 300, 20)
    ('Ann \\ufffdLee', 'xxxxxxxxxxxxxxxxxxxx…')
    """
    text = text.translate(LINE_BREAKS)
    cut = text if len(text) <= longest else text[:longest] + "…"
    return "".join(one if one.isprintable() or one in KEPT else "\N{REPLACEMENT CHARACTER}" for one in cut)


def plain(text: str) -> str:
    """Return text as Markdown without any markup; addresses are no links, and text from right to left stays among itself.

    >>> plain("`a` | https://x.example")
    '\\\\`a\\\\` \\\\| https:\\\\//x.example'
    """
    text = printable(text, 1000).translate(MARKDOWN | {ord("$"): "\\$"}).replace("://", ":\\//").replace("www.", "www\\.")
    turned = any(unicodedata.bidirectional(one) in ("R", "AL") for one in text)
    return f"\N{FIRST STRONG ISOLATE}{text}\N{POP DIRECTIONAL ISOLATE}" if turned else text
