"""A stage from start to end: model, data, loss, loop; and the export of its result."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hdcodec.models.devices import pick_device
from hdcodec.models.hdc.config import Config
from hdcodec.models.hdc.model import HdcModel
from hdcodec.perceptual import DISTS, LPIPS, find_dists, find_lpips

from .checkpoint import read
from .data import Batches, Crops, Pixels, read_photos
from .draw import Drawing
from .export import export
from .latents import CachedLatents
from .loop import Settings, Trainer
from .models import MODELS, Given, begun, load_hdc, networks_around
from .precision import compute_type
from .realism import Realism
from .samples import write_samples
from .stages import STAGES, Judges


def train(
    stage: str,
    *,
    data: Path,
    out: Path,
    minutes: float,
    metric_weights: Path | None = None,
    init: Path | None = None,
    batch: int = 16,
    crop: int = 128,
    lr: float | None = None,
    device: str = "cpu",
    resume: bool = False,
    copies: bool = False,
    kernels: bool = False,
    threads: int | None = None,
    limit: int | None = None,
    seed: int = 0,
    views: int = 2,
    **more: Any,
) -> None:
    """Train one stage and leave its checkpoint and sample pictures in `out`.

    `init` is a checkpoint or a folder of weights to begin from. Stages in latents encode `views`
    crops of every photo. `more` are fields of `Given`, what stages differ in, and of `Settings`.
    Raises DeviceError; ValueError for what the device cannot do, where a stage lacks what it needs,
    and for files of another kind.
    """
    pick_device(device)
    _check_precision(device, copies, kernels)
    _set_up_torch(seed, threads)
    given = Given(**{f.name: more.pop(f.name) for f in fields(Given) if f.name in more})
    around = networks_around(stage, given, device, init)
    plan, photos = STAGES[stage], read_photos(data, smallest=crop, limit=limit)
    crops = Crops(photos, size=crop, batch=batch, seed=seed, device=device)
    own = out / f"{stage}.pt"
    origin = own if resume and own.exists() else _origin(stage, out, init)
    model = begun(stage, origin, given, crops, around)
    model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    more |= {"device": device, "resume": resume, "copies": copies, "kernels": kernels}
    record = device == "cuda" and plan.steady
    settings = Settings(out=out, minutes=minutes, lr=lr or plan.lr, record=record, **more)
    batches = CachedLatents(crops, around["frozen"], views) if plan.latents else crops
    trainer = prepare(stage, model, batches, settings, metric_weights, _players(origin), around)
    _show(stage, trainer.run(), photos, around, out)


def _show(
    stage: str, average: nn.Module, photos: list[Pixels], around: Mapping[str, nn.Module], out: Path
) -> None:
    """A sheet of samples of an averaged model, which is moved to the CPU with all `around` it."""
    networks = {name: network.cpu() for name, network in around.items()}
    shown_by = partial(MODELS[STAGES[stage].model].views, average.cpu().eval(), **networks)
    shown = photos[:: max(1, len(photos) // 6)][:6]
    write_samples(shown_by, shown, out / f"{stage}.png")


def _set_up_torch(seed: int, threads: int | None) -> None:
    if threads:
        torch.set_num_threads(threads)
    torch.manual_seed(seed)
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")


def _check_precision(device: str, copies: bool, kernels: bool) -> None:
    if copies and compute_type(device) != torch.bfloat16:
        raise ValueError(f"{device} does not multiply bfloat16: it trains without copies in it")
    if kernels and torch.device(device).type != "cuda":
        raise ValueError("the kernels are for a GPU")
    if kernels and find_spec("triton") is None:
        raise ValueError("the kernels need Triton, which is not installed")


def prepare(
    stage: str,
    model: nn.Module,
    crops: Batches,
    settings: Settings,
    metric_weights: Path | None,
    players: dict[str, Tensor] | None = None,
    around: Mapping[str, nn.Module] | None = None,
) -> Trainer:
    """A trainer for a stage: freezes what does not learn, builds the losses. `players` are
    discriminators to go on with, if the stage has the same, `around` what else the loss is given,
    by name."""
    plan = STAGES[stage]
    model.requires_grad_(False)
    learning: list[nn.Module] = [model.get_submodule(name) for name in plan.parts]
    for module in learning:
        module.requires_grad_(True)
    lpips = _lpips(metric_weights, settings.device)
    dists = None if plan.judges is None else _dists(metric_weights, settings.device)
    if settings.kernels:
        from .fused import fuse

        fuse(lpips, dists)
    judges = None if dists is None else _judges(plan.judges, dists, model, settings.device)
    aside = judges.players() if isinstance(judges, Realism | Drawing) else None
    if aside is not None and players and players.keys() == aside.state_dict().keys():
        aside.load_state_dict(players)
    loss = plan.loss(model, lpips, judges, **(around or {}))
    trained = [p for module in learning for p in module.parameters()]
    if aside is not None:
        trained += aside.parameters()
    return Trainer(stage, model, trained, loss, crops, settings, aside)


def _lpips(metric_weights: Path | None, device: str) -> LPIPS:
    lpips = find_lpips("alex", metric_weights)
    lpips.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return lpips.eval().requires_grad_(False)


def _dists(metric_weights: Path | None, device: str) -> DISTS:
    dists = find_dists(metric_weights)
    dists.backbone.convs.to(compute_type(device))  # as autocast would in every step
    dists.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return dists.eval().requires_grad_(False)


def _judges(kind: type[Judges] | None, dists: DISTS, model: nn.Module, device: str) -> Judges:
    if kind is Realism:
        judges: Judges = Realism(dists)
    elif kind is Drawing and isinstance(model, HdcModel):
        judges = Drawing(dists, model.cfg)
    else:
        return dists
    judges.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return judges


def _origin(stage: str, out: Path, init: Path | None) -> Path | None:
    """The checkpoint or folder that a stage begins with: `init`, else that of the newest earlier
    stage in `out`, if any."""
    alike = [name for name, plan in STAGES.items() if plan.model == STAGES[stage].model]
    earlier = (out / f"{name}.pt" for name in reversed(alike[: alike.index(stage)]))
    return init or next((p for p in earlier if p.exists()), None)


def _players(checkpoint: Path | None) -> dict[str, Tensor] | None:
    """The discriminators that a checkpoint was trained with, if any."""
    if checkpoint is None or checkpoint.is_dir():
        return None
    return read(checkpoint).get("aside")


def export_weights(
    checkpoint: Path,
    folder: Path,
    model_id: int,
    ladder: Path | None,
    notes: dict[str, str],
    config: Config | None = None,
) -> None:
    """Runtime weights of a new model id with the given ladder, else the folder's, else one without
    indices."""
    steps: list[int] = [0] * 201
    if ladder is not None:
        steps = json.loads(ladder.read_text())
    elif (folder / "manifest.json").exists():
        steps = json.loads((folder / "manifest.json").read_text())["ladder"]
    notes_of = {"ladder": steps, "training": notes}
    export(load_hdc(checkpoint, config), folder, notes_of, model_id)
