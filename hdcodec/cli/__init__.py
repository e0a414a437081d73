"""The `hdc` command. Nothing here imports a command's module before that command runs."""

from hdcodec.cli._main import main

__all__ = ["main"]
