"""Checkpoints in pieces, for ways that let only small files through.

    python research/gpu/pieces.py split [--average] CHECKPOINT FOLDER   # FOLDER/vae.pt.00, ...
    python research/gpu/pieces.py join FOLDER CHECKPOINT
    python research/gpu/pieces.py start CHECKPOINT OUT       # the averaged model alone, to --init
    python research/gpu/pieces.py mean ONE OTHER OUT         # of two runs' averaged models
    python research/gpu/pieces.py teacher WEIGHTS OUT        # what --teacher needs of them

Only the model is kept in float32: the average that it is blended into becomes float16, what the
optimizer remembers bfloat16. A run that goes on from joined pieces differs by this rounding.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor

PIECE = 15 * 2**20
"""Bytes."""


@click.group()
def main() -> None:
    """Split a checkpoint into pieces, or join it."""


@main.command()
@click.argument("checkpoint", type=click.Path(exists=True, path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--average", is_flag=True, help="Only the averaged model, as `start` writes it.")
def split(checkpoint: Path, folder: Path, average: bool) -> None:
    """Write the pieces of CHECKPOINT into FOLDER."""
    state, buffer = load(checkpoint), io.BytesIO()
    state["average"] = each(state["average"], Tensor.half)
    state["optimizer"] = each(state["optimizer"], Tensor.bfloat16)
    torch.save({"average": state["average"]} if average else state, buffer)
    data = buffer.getvalue()
    folder.mkdir(parents=True, exist_ok=True)
    for number, at in enumerate(range(0, len(data), PIECE)):
        (folder / f"{checkpoint.name}.{number:02d}").write_bytes(data[at : at + PIECE])


@main.command()
@click.argument("folder", type=click.Path(exists=True, path_type=Path))
@click.argument("checkpoint", type=click.Path(path_type=Path))
def join(folder: Path, checkpoint: Path) -> None:
    """Make CHECKPOINT of its pieces in FOLDER."""
    pieces = sorted(folder.glob(f"{checkpoint.name}.[0-9][0-9]"))
    state = load(io.BytesIO(b"".join(piece.read_bytes() for piece in pieces)))
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    torch.save(each(state, Tensor.float), checkpoint)


@main.command()
@click.argument("checkpoint", type=click.Path(exists=True, path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
def start(checkpoint: Path, out: Path) -> None:
    """Write the averaged model of CHECKPOINT alone, in float16."""
    torch.save({"average": each(load(checkpoint)["average"], Tensor.half)}, out)


@main.command()
@click.argument("one", type=click.Path(exists=True, path_type=Path))
@click.argument("other", type=click.Path(exists=True, path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
def mean(one: Path, other: Path, out: Path) -> None:
    """Write what lies half way between the averaged models of ONE and OTHER, as `start` does."""
    first, second = (load(path)["average"] for path in (one, other))
    half_way = {
        name: (first[name] + value) / 2 if value.is_floating_point() else value
        for name, value in second.items()
    }
    torch.save({"average": each(half_way, Tensor.half)}, out)


@main.command()
@click.argument("weights", type=click.Path(exists=True, path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
def teacher(weights: Path, out: Path) -> None:
    """Write those of WEIGHTS, of EfficientNet-Lite0, that the teacher has, in float16."""
    from hdcodec.train.teacher import BLOCKS

    used = ("_conv_stem.", "_bn0.", *(f"_blocks.{k}." for k in range(BLOCKS)))
    kept = {name: value for name, value in load(weights).items() if name.startswith(used)}
    torch.save(each(kept, Tensor.half), out)


def load(source: Path | io.BytesIO) -> Any:
    """A checkpoint on the CPU."""
    return torch.load(source, map_location="cpu", weights_only=True)


def each(value: Any, cast: Callable[[Tensor], Tensor]) -> Any:
    """`value`, dicts and lists of tensors, with those cast that hold several floating numbers."""
    if isinstance(value, dict):
        return {key: each(part, cast) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(each(part, cast) for part in value)
    floating = isinstance(value, Tensor) and value.is_floating_point() and value.dim() > 0
    return cast(value) if floating else value


if __name__ == "__main__":
    main()
