"""The whole document around a page's content, and what is embedded in it."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections.abc import Mapping
from html import escape
from importlib.resources import files
from io import BytesIO
from string import Template

from PIL import Image, features

from hdcodec import __version__
from hdcodec.pages._elements import Markup, element, joined

WEBP_MAX_SIDE = 16383


def document(
    title: str, heading: str, lead: Markup, *content: Markup, facts: Mapping[str, object]
) -> bytes:
    """A page with a `lead` under its heading, `content` below, and `facts` as JSON for programs.

    The policy in its head keeps a browser from fetching or running anything else.
    """
    script = _asset("page.js")
    body = (
        element("header", element("h1", heading), lead),
        element("main", *content),
        element("footer", f"Made by hdcodec {__version__}."),
    )
    text = Template(_asset("page.html")).substitute(
        title=escape(title),
        style=_asset("page.css"),
        script=script,
        script_hash=f"sha256-{b64encode(hashlib.sha256(script.encode()).digest()).decode()}",
        body=joined(body),
        facts=json.dumps(facts, allow_nan=False).replace("<", "\\u003c"),
        version=__version__,
    )
    return text.encode("utf-8", "replace")


def _asset(name: str) -> str:
    return (files("hdcodec.pages") / "assets" / name).read_text(encoding="utf-8")


def picture(image: Image.Image, text: str) -> Markup:
    """An <img> with the exact pixels of an RGB image. text: what it shows, for who cannot see."""
    width, height = image.size
    return element(
        "img", src=_pixels(image), alt=text, width=width, height=height, draggable="false"
    )


def _pixels(image: Image.Image) -> str:
    buffer = BytesIO()
    if features.check("webp") and max(image.size) <= WEBP_MAX_SIDE:
        image.save(buffer, "WEBP", lossless=True, method=2, quality=25)
        return data_uri("image/webp", buffer.getvalue())
    image.save(buffer, "PNG")
    return data_uri("image/png", buffer.getvalue())


def data_uri(kind: str, data: bytes) -> str:
    """`data` as the address of a file of a MIME type."""
    return f"data:{kind};base64,{b64encode(data).decode()}"
