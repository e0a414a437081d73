"""Makes docs/commands.md from the commands themselves.

    python docs/make_commands.py

Every line is made from the names, types, defaults and help of the parameters, not from click's own
layout, so that it is the same with every version of click.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

PAGE = Path(__file__).parent / "commands.md"
sys.path.insert(0, str(PAGE.parent.parent))

HEAD = """# Commands

Made by `python docs/make_commands.py`; `hdc COMMAND --help` says the same.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | an error in the data, in files or in the machine: one line on stderr, [listed](errors.md) |
| 2 | wrong usage |
| 3 | `hdc batch`: some files failed, the others are done |
| 130 | interrupted |

`-` stands for standard input or output. Existing files are kept unless `--force` is given, and a
result has its name only when it is whole.

Any picture of 1x1 pixels or more works that Pillow opens: gray, palette, CMYK, 16 bits, turned by
EXIF. Colour profiles, and what a PNG says of its colours in numbers, are converted to sRGB.
Transparency is kept without loss; what lies hidden under it is not. Of several pages or frames the
first is coded, with a warning, or the one that `--page` names.

Shell completion is in [desktop.md](desktop.md#completion).
"""


def page() -> str:
    """docs/commands.md."""
    from hdcodec.cli._group import group
    from hdcodec.conformance.__main__ import command as conformance

    found = [*walk("hdc", group), ("python -m hdcodec.conformance", conformance)]
    return "\n".join([HEAD, *(described(name, command) for name, command in found)])


def walk(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """A command, and all under it."""
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for sub in command.list_commands(context):
            if (found := command.get_command(context, sub)) is not None:
                yield from walk(f"{name} {sub}", found)


def described(name: str, command: click.Command) -> str:
    """The section of a command."""
    given = [parameter for parameter in command.params if isinstance(parameter, click.Argument)]
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    is_group = isinstance(command, click.Group)
    usage = [name, *map(placeholder, given), "COMMAND ..." if is_group else "[OPTIONS]"]
    lines = [f"## {name}", "", f"    {' '.join(usage)}", "", inspect.cleandoc(command.help or "")]
    shown = [option for option in options if not option.hidden]
    if shown:
        lines += ["", "| option | meaning | unless given |", "|---|---|---|", *map(row, shown)]
    return "\n".join(lines) + "\n"


def placeholder(argument: click.Argument) -> str:
    """An argument as its command's usage has it."""
    return argument.metavar or (argument.name or "").upper()


def row(option: click.Option) -> str:
    """A row of the table of options."""
    names = ", ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])
    value = "" if option.is_flag else f" {values(option)}"
    shown = option.show_default
    default = shown if isinstance(shown, str) else str(option.default) if shown else ""
    if option.is_flag and option.secondary_opts:
        default = (option.opts if option.default else option.secondary_opts)[0]
    cells = [names + value, option.help or "", f"`{default}`" if default else ""]
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def values(option: click.Option) -> str:
    """What an option takes."""
    kind = option.type
    if option.metavar:
        return option.metavar
    if isinstance(kind, click.Choice):
        return " or ".join(f"`{choice}`" for choice in kind.choices)
    if isinstance(kind, click.IntRange | click.FloatRange):
        return span(kind)
    if isinstance(kind, click.Path):
        return "FOLDER" if kind.dir_okay and not kind.file_okay else "FILE"
    return "TEXT"


def span(kind: click.IntRange | click.FloatRange) -> str:
    """The numbers of a range, in words."""
    if kind.min is not None and kind.max is not None:
        return f"{kind.min:g} to {kind.max:g}"
    if kind.min is not None:
        return f"more than {kind.min:g}" if kind.min_open else f"{kind.min:g} or more"
    return f"less than {kind.max:g}" if kind.max_open else f"at most {kind.max:g}"


if __name__ == "__main__":
    PAGE.write_text(page())
