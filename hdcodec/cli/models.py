"""hdc models: the installed model families and whether their weights are as shipped."""

import json
from typing import TYPE_CHECKING, Any

import click

from hdcodec._errors import WeightsError
from hdcodec.cli import _options as options
from hdcodec.cli._files import say

if TYPE_CHECKING:
    from hdcodec.weights import Weights

INTACT = "intact"


@click.command()
@options.as_json
def command(as_json: bool) -> None:
    """List the installed models: id, size, licence, and whether each file fits its checksum.

    The exit code is 1 if a file is missing or changed.
    """
    from hdcodec.models import newest

    models = [_model(number) for number in newest()]
    if as_json:
        say(json.dumps({"models": models}))
    else:
        say("\n".join(line for model in models for line in _lines(model)))
    if any(model["state"] != INTACT for model in models):
        click.get_current_context().exit(1)


def _model(number: int) -> dict[str, Any]:
    from hdcodec.format import MODELS
    from hdcodec.weights import find

    model: dict[str, Any] = {"model": MODELS[number].family, "model_id": number}
    try:
        weights = find(number)
    except WeightsError as error:
        return model | {"state": str(error), "bytes": 0, "licence": None, "files": []}
    files = [
        {"file": file} | entry | {"state": _state(weights, file)}
        for file, entry in (weights.manifest["files"] | weights.graphs).items()
    ]
    return model | {
        "state": next((file["state"] for file in files if file["state"] != INTACT), INTACT),
        "bytes": sum(file["bytes"] for file in files),
        "licence": weights.manifest.get("licence"),
        "files": files,
    }


def _state(weights: "Weights", file: str) -> str:
    try:
        weights.read(file)
    except WeightsError as error:
        return str(error)
    return INTACT


def _lines(model: dict[str, Any]) -> list[str]:
    licence = f", licence {model['licence']}" if model["licence"] else ""
    size = f"{model['bytes'] / 1e6:.1f} MB"
    return [
        f"{model['model']} (id {model['model_id']}): {size}{licence}, {model['state']}",
        *(f"  {file['file']}  {file['bytes']:,} bytes  {file['state']}" for file in model["files"]),
    ]
