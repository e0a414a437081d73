"""The group of all commands, each in a module of its own that is imported when it runs."""

import os
from importlib import import_module
from typing import Any, cast

import click

from hdcodec._errors import HdcError

# Name of a command, and of the module hdcodec.cli.NAME whose `command` it is -> line in the help.
COMMANDS = {
    "compress": "Compress a picture to an .hdc file.",
    "decompress": "Decompress an .hdc file to a picture.",
    "batch": "Compress or decompress whole folders.",
    "info": "Show what an .hdc file holds.",
    "verify": "Check that .hdc files are whole and decode to what was encoded.",
    "packets": "Split a file into packets, or join them.",
    "compare": "Show a file beside its original and rivals at the same bytes.",
    "eval": "Measure this codec and its rivals on a folder of pictures.",
    "web": "Write a page that opens .hdc files in a browser.",
    "models": "List the installed models.",
}


class LazyGroup(click.Group):
    """Knows its commands from COMMANDS alone, so that its help imports none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        return cast(click.Command, import_module(f"hdcodec.cli.{cmd_name}").command)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except EOFError as error:  # of a file; click would take it for Ctrl-D and so for Ctrl-C
            raise RuntimeError(f"a file ends early: {error}") from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from hdcodec import __version__
        from hdcodec.cli._files import say

        say(f"hdc {__version__}")
        ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
def group() -> None:
    """Compress photographs to very small .hdc files, and decompress them again.

    Exit codes: 0 done, 1 an error in the data or files, 2 wrong usage.
    """
    try:
        os.getcwd()
    except FileNotFoundError as error:  # some libraries of torch would end the process
        raise HdcError("the current folder has been deleted: change to another") from error
