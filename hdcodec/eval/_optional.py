"""Packages that only measuring needs."""

from importlib import import_module
from typing import Any

from hdcodec._errors import HdcError


def need(module: str, package: str) -> Any:
    """Imports `module`. Raises HdcError naming the `package` to install where it is absent."""
    try:
        return import_module(module)
    except ImportError as error:
        raise HdcError(f"measuring needs {package}: pip install 'hdcodec[eval]'") from error
