"""hdc info: the fields of an .hdc file, without its pixels."""

import json
from typing import Any

import click

from hdcodec.cli import _options as options
from hdcodec.cli._files import naming, printable, read_hdc, say


@click.command()
@click.argument("file", metavar="FILE", type=options.FILE)
@options.max_pixels
@options.as_json
def command(file: str, max_pixels: int | None, as_json: bool) -> None:
    """Show the header fields of FILE and what its bytes are spent on; - is stdin."""
    from hdcodec import info

    with naming(file):
        fields = info(read_hdc(file), **options.given(max_pixels=max_pixels))
    facts = {"file": file} | fields
    say(json.dumps(facts) if as_json else "\n".join(_lines(facts)))


def _lines(facts: dict[str, Any]) -> list[str]:
    shown = {name.replace("_", " "): _text(value) for name, value in facts.items()}
    width = max(map(len, shown))
    return [f"{name:<{width}}  {text}" for name, text in shown.items()]


def _text(value: object) -> str:
    if isinstance(value, list):
        return "".join(f"\n  {item}" for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(item)}" for name, item in value.items()) or "none"
    return f"{value:.4g}" if isinstance(value, float) else printable(str(value))
