"""`python -m hdcodec.train STAGE --data DIR --metric-weights DIR --out DIR --minutes N`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from hdcodec._errors import HdcError
from hdcodec.cli._options import Finite
from hdcodec.format import MODELS
from hdcodec.models.sprdiff.codec import PARTS

from .optimizer import OPTIMIZERS
from .run import export_weights, train
from .stages import STAGES, Stage

Command = Callable[..., Any]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Turn a folder of photos into weights, stage by stage."""


_COUNT = click.IntRange(1)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_NEEDED = {
    "vae": "Checkpoint of the stage 'vae'.",
    "semantic": "Checkpoint of the stage 'semantic'.",
    "codec": "Checkpoint of the stage 'codec'.",
    "teacher": "Weights of EfficientNet-Lite0.",
    "diffusion": "Checkpoint of the stage 'diffuse'.",
}


def _own_options(stage: Stage) -> Callable[[Command], Command]:
    """The options that not all stages have."""
    options = [
        click.option(f"--{name}", type=_FILE, help=_NEEDED[name])
        for name in (*stage.needs, *stage.takes)
    ]
    if stage.model in ("sampler", "picture-codec"):
        options.append(click.option("--sigma", type=float, help="Of the noise."))
    if stage.model in ("codec", "latent-tokens", "feature-tokens"):
        options.append(click.option("--worth", type=float, help="Of distortion, beside the usual."))
    if stage.model in ("codec", "picture-codec"):
        some = click.Choice(PARTS)
        text = "Trains without this part."
        options.append(click.option("--without", type=some, multiple=True, help=text))
    if stage.latents:
        text = "Crops encoded of every photo."
        views = 2 if stage.model == "diffusion" else 1
        options.append(
            click.option("--views", type=_COUNT, default=views, show_default=True, help=text)
        )

    def add(command: Command) -> Command:
        for option in options:
            command = option(command)
        return command

    return add


def _crop(_context: click.Context, _option: click.Parameter, side: int) -> int:
    if side < 64 or side % 64:
        raise click.BadParameter("must be a multiple of 64.")
    return side


def _add_stage(name: str) -> None:
    @main.command(name, help=f"Train stage '{name}'.")
    @click.option(
        "--data",
        type=click.Path(exists=True, path_type=Path),
        required=True,
        help="Folder of photos, or of tar files of photos.",
    )
    @click.option(
        "--metric-weights",
        type=click.Path(exists=True, path_type=Path),
        help="Folder with LPIPS weights; else those of the installed packages.",
    )
    @click.option(
        "--out", type=click.Path(path_type=Path), required=True, help="Folder of checkpoints."
    )
    @click.option("--minutes", type=Finite(0), required=True, help="Time budget of the stage.")
    @click.option("--resume", is_flag=True, help="Continue the stage's own checkpoint in --out.")
    @click.option(
        "--init",
        type=click.Path(exists=True, path_type=Path),
        help="Checkpoint or folder of weights to begin from; default: the newest earlier stage.",
    )
    @click.option("--device", default="cpu", show_default=True)
    @click.option("--batch", type=_COUNT, default=16, show_default=True)
    @click.option(
        "--crop",
        default=128,
        show_default=True,
        callback=_crop,
        help="Pixels a side; a multiple of 64.",
    )
    @click.option("--lr", type=Finite(0), help="Peak learning rate; default: the stage's own.")
    @click.option("--optimizer", type=click.Choice(OPTIMIZERS), default="adamw", show_default=True)
    @click.option("--threads", type=_COUNT, help="CPU threads; default: all.")
    @click.option("--max-steps", type=int, help="Of the schedule, if they end before.")
    @click.option(
        "--pause", type=Finite(0), help="Minutes of this run, to be resumed; default: all."
    )
    @click.option(
        "--save-minutes",
        type=Finite(0),
        default=4.0,
        show_default=True,
        help="Between two checkpoints.",
    )
    @click.option("--limit", type=_COUNT, help="Use only the first N photos.")
    @click.option("--seed", default=0, show_default=True)
    @click.option("--copies", is_flag=True, help="Keep the weights in bfloat16, too.")
    @click.option("--kernels", is_flag=True, help="On a GPU: Triton kernels for LPIPS and DISTS.")
    @_own_options(STAGES[name])
    def command(**options: object) -> None:
        try:
            train(name, **options)  # type: ignore[arg-type]
        except (HdcError, OSError, ValueError) as error:
            raise click.ClickException(str(error)) from error


for _name in STAGES:
    _add_stage(_name)


@main.command("export")
@click.argument("checkpoint", type=click.Path(exists=True, path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--model-id",
    type=click.Choice([str(number) for number in MODELS]),
    required=True,
    help="The registered id of these weights; new weights are a new model.",
)
@click.option(
    "--ladder",
    type=click.Path(exists=True, path_type=Path),
    help="JSON list of 201 kept codes, one per quality index; default: the one already there.",
)
@click.option("--note", "notes", multiple=True, metavar="KEY=VALUE", help="Goes into the manifest.")
def export_command(
    checkpoint: Path,
    folder: Path,
    model_id: str,
    ladder: Path | None,
    notes: tuple[str, ...],
) -> None:
    """Write the runtime weights of CHECKPOINT's averaged model into FOLDER."""
    texts = dict(note.split("=", 1) for note in notes)
    try:
        export_weights(checkpoint, folder, int(model_id), ladder, texts)
    except (HdcError, OSError, RuntimeError, ValueError) as error:
        raise click.ClickException(str(error)) from error


@main.command("export-sprdiff")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--model-id", type=int, required=True, help="The registered id of these weights.")
@click.option("--vae", type=_FILE, help=_NEEDED["vae"])
@click.option("--semantic", type=_FILE, help=_NEEDED["semantic"])
@click.option("--finish", type=_FILE, required=True, help="Checkpoint of the stage 'finish'.")
@click.option("--init", type=_FOLDER, help="Weights that it began with, in place of the other two.")
@click.option(
    "--hdc",
    type=_FOLDER,
    help="Weights of hdc that the codec was trained beside; default: those that are landed.",
)
@click.option("--note", "notes", multiple=True, metavar="KEY=VALUE", help="Goes into the manifest.")
def export_sprdiff_command(
    folder: Path,
    model_id: int,
    vae: Path | None,
    semantic: Path | None,
    finish: Path,
    init: Path | None,
    hdc: Path | None,
    notes: tuple[str, ...],
) -> None:
    """Write the runtime weights of the averaged models of sprdiff into FOLDER."""
    from .export_sprdiff import analysis_of, assembled, export_sprdiff, renewed

    texts = dict(note.split("=", 1) for note in notes)
    try:
        if init is not None:
            model = renewed(init, finish)
        elif vae is None or semantic is None:
            raise click.UsageError("It takes --vae and --semantic, or --init.")
        else:
            files = {"vae": vae, "semantic": semantic, "finish": finish}
            model = assembled(files, analysis_of(hdc))
        export_sprdiff(model, folder, model_id, {"training": texts})
    except (HdcError, OSError, RuntimeError, ValueError) as error:
        raise click.ClickException(str(error)) from error


@main.command("graphs")
@click.argument("folder", type=_FOLDER)
def graphs_command(folder: Path) -> None:
    """Make graphs for onnxruntime of the weights in FOLDER, which stay as they are.

    Takes the packages onnx and onnxruntime.
    """
    from .graphs import write_graphs

    write_graphs(folder)


@main.command("ladder")
@click.argument("pictures", type=click.Path(exists=True, path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--metric-weights", type=click.Path(exists=True, path_type=Path))
@click.option("--device", default="cpu", show_default=True)
def ladder_command(pictures: Path, out: Path, metric_weights: Path | None, device: str) -> None:
    """Choose the kept share of indices for each quality on a folder of PICTURES; write OUT."""
    from hdcodec.codec import Codec
    from hdcodec.eval import picture_files

    from .ladder import choose, measure_grid

    points = measure_grid(Codec(device=device), picture_files(pictures), metric_weights, click.echo)
    out.write_text(json.dumps(choose(points)))


if __name__ == "__main__":
    main()
