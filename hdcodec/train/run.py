"""A stage from start to end: model, data, loss, loop; and the export of its result."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from hdcodec.models.hdc.blocks import Block
from hdcodec.models.hdc.config import Config
from hdcodec.models.hdc.model import HdcModel
from hdcodec.perceptual import (
    DISTS,
    LPIPS,
    installed_dists,
    installed_lpips,
    load_dists,
    load_lpips,
)
from hdcodec.weights import read_folder

from .data import Crops, read_photos
from .export import export
from .loop import Settings, Trainer
from .precision import compute_type
from .realism import Realism
from .restore import restore
from .samples import hdc_views, write_samples
from .stages import STAGES, stage_named
from .team import ALONE, Team, in_team
from .vae import start_vae, vae_views

ORDER = tuple(STAGES)


class Trained(NamedTuple):
    """A family of models: what its training begins with, given a checkpoint or a folder of weights
    (or none), sizes (or none) and crops; and what a sheet of samples shows of a picture."""

    start: Callable[[Path | None, Any, Crops], nn.Module]
    views: Callable[[Any, Tensor], list[Tensor]]


def train(stage: str, *, workers: int = 1, **options: Any) -> None:
    """Train one stage in `workers` processes of the CPU, each with a batch of its own; `options`
    are those of `train_in`."""
    if workers > 1 and options.get("device", "cpu") != "cpu":
        raise ValueError("several workers train on the CPU only")
    in_team(workers, partial(train_in, stage=stage, **options))


def train_in(
    team: Team,
    stage: str,
    *,
    data: Path,
    out: Path,
    minutes: float,
    metric_weights: Path | None = None,
    resume: bool = False,
    init: Path | None = None,
    graft: Sequence[str] = (),
    device: str = "cpu",
    batch: int = 16,
    crop: int = 128,
    lr: float | None = None,
    optimizer: str = "adamw",
    begin: float = 0.0,
    threads: int | None = None,
    max_steps: int | None = None,
    pause: float | None = None,
    save_minutes: float = 4.0,
    limit: int | None = None,
    seed: int = 0,
    copies: bool = False,
    kernels: bool = False,
    config: Any = None,
) -> None:
    """Train one stage and leave its checkpoint and sample pictures in `out`.

    `graft` names parts to take from other checkpoints, "CHECKPOINT=part,part", now and again
    after every checkpoint of this stage, so that it can follow a stage that is still running.
    `pause`, `copies` and `kernels` are those of `Settings`. `config` gives the sizes of the
    networks, a `Config` of the stage's family, its own by default.
    """
    _check_precision(device, copies, kernels, graft)
    _set_up_torch(seed, threads or (1 if team.size > 1 else None))
    photos = read_photos(data, smallest=crop, limit=limit)
    crops = Crops(photos, size=crop, batch=batch, seed=seed, device=device)
    own, family = out / f"{stage}.pt", FAMILIES[stage_named(stage).family]
    origin = own if resume and own.exists() else _origin(stage, out, init)
    model = family.start(origin, config, crops)
    refresh = partial(graft_parts, grafts=[parse_graft(text) for text in graft])
    refresh(model)
    model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    settings = Settings(
        out=out,
        minutes=minutes,
        lr=lr or stage_named(stage).lr,
        optimizer=optimizer,
        begin=begin,
        device=device,
        resume=resume,
        max_steps=max_steps,
        pause=pause,
        save_minutes=save_minutes,
        record=device == "cuda" and stage_named(stage).steady,
        copies=copies,
        kernels=kernels,
    )
    trainer = prepare(
        stage,
        model,
        crops,
        settings,
        metric_weights,
        refresh,
        _players(origin),
        team,
    )
    average = trainer.run().cpu().eval()
    if team.rank:
        return
    shown = photos[:: max(1, len(photos) // 6)][:6]
    write_samples(partial(family.views, average), shown, out / f"{stage}.png")


def _set_up_torch(seed: int, threads: int | None) -> None:
    if threads:
        torch.set_num_threads(threads)
    torch.manual_seed(seed)
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")


def _check_precision(device: str, copies: bool, kernels: bool, graft: Sequence[str]) -> None:
    if copies and compute_type(device) != torch.bfloat16:
        raise ValueError(f"{device} does not multiply bfloat16: it trains without copies in it")
    if copies and graft:
        raise ValueError("no grafts where weights have copies")
    if kernels and torch.device(device).type != "cuda":
        raise ValueError("the kernels are for a GPU")
    if kernels and find_spec("triton") is None:
        raise ValueError("the kernels need Triton, which is not installed")


def prepare(
    stage: str,
    model: nn.Module,
    crops: Crops,
    settings: Settings,
    metric_weights: Path | None,
    refresh: Callable[[nn.Module], None] | None = None,
    players: dict[str, Tensor] | None = None,
    team: Team = ALONE,
) -> Trainer:
    """A trainer for a stage: freezes what does not learn, builds the losses. `players` are
    discriminators to go on with."""
    plan = stage_named(stage)
    model.requires_grad_(False)
    learning: list[nn.Module] = [model.get_submodule(name) for name in plan.parts]
    for module in learning:
        module.requires_grad_(True)
    lpips = _lpips(metric_weights, settings.device)
    judged = plan.realism or plan.dists
    dists = _dists(metric_weights, settings.device) if judged else None
    realism = _realism(dists, settings.device) if plan.realism and dists else None
    if settings.kernels:
        from .fused import fuse

        fuse(lpips, dists)
    if realism is not None and players:
        realism.players().load_state_dict(players)
    loss = plan.loss(model, lpips, realism or dists)
    trained = [p for module in learning for p in module.parameters()]
    if realism is not None:
        trained += realism.players().parameters()
    aside = None if realism is None else realism.players()
    return Trainer(stage, model, trained, loss, crops, settings, refresh, aside, team)


def _lpips(metric_weights: Path | None, device: str) -> LPIPS:
    lpips = load_lpips("alex", metric_weights) if metric_weights else installed_lpips("alex")
    lpips.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return lpips.eval().requires_grad_(False)


def _dists(metric_weights: Path | None, device: str) -> DISTS:
    dists = load_dists(metric_weights) if metric_weights else installed_dists()
    dists.backbone.convs.to(compute_type(device))  # as autocast would in every step
    dists.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return dists.eval().requires_grad_(False)


def _realism(dists: DISTS, device: str) -> Realism:
    module = Realism(dists)
    module.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return module


def start(stage: str, out: Path, init: Path | None, config: Config | None = None) -> HdcModel:
    """What a stage begins with: `init` (a checkpoint or a folder of weights), else the newest
    earlier stage in `out`, else an untrained model."""
    return start_hdc(_origin(stage, out, init), config)


def start_hdc(path: Path | None, config: Config | None, _: Crops | None = None) -> HdcModel:
    """The model of a checkpoint or a folder of weights, else an untrained one."""
    return HdcModel(config or Config()) if path is None else load_model(path, config)


def _origin(stage: str, out: Path, init: Path | None) -> Path | None:
    if stage_named(stage).family != "hdc":
        return init
    before = ORDER[: ORDER.index(stage)] if stage in ORDER else ORDER[:-1]
    earlier = [out / f"{name}.pt" for name in reversed(before)]
    return init or next((p for p in earlier if p.exists()), None)


FAMILIES = {"hdc": Trained(start_hdc, hdc_views), "sprdiff": Trained(start_vae, vae_views)}


def _players(checkpoint: Path | None) -> dict[str, Tensor] | None:
    """The discriminators that a checkpoint was trained with, if any."""
    if checkpoint is None or checkpoint.is_dir():
        return None
    found: dict[str, Tensor] | None = torch.load(
        checkpoint, map_location="cpu", weights_only=True
    ).get("aside")
    return found


def load_model(path: Path, config: Config | None = None) -> HdcModel:
    """The model of a folder of weights, or the averaged one of a checkpoint; grown to `config`."""
    if path.is_dir():
        return grown(restore(read_folder(path)).state_dict(), config)
    return load_average(path, config)


def load_average(checkpoint: Path, config: Config | None = None) -> HdcModel:
    """The averaged model of a checkpoint, grown to `config`."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    return grown(state["average"], config)


def grown(state: Mapping[str, Tensor], config: Config | None = None) -> HdcModel:
    """A model of any depth from the state of a shallower one: blocks it lacks pass on what they
    get, other parts it lacks stay untrained."""
    model = HdcModel(config or Config())
    missing = set(model.load_state_dict(state, strict=False).missing_keys)
    for name, module in model.named_modules():
        if isinstance(module, Block) and f"{name}.leave.weight" in missing:
            module.pass_on()
    return model


def blend(model: HdcModel, other: HdcModel, share: float) -> None:
    """Move every weight towards another model of the same sizes, by `share` of the way (model
    soups: Wortsman et al. 2022), or away from it where that is negative."""
    state = other.state_dict()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.lerp_(state[name], share)


def parse_blend(text: str) -> tuple[Path, float]:
    """ "WEIGHTS=SHARE" -> path and share; raises ValueError."""
    path, share = _pair(text, "WEIGHTS=SHARE")
    if not -1 <= float(share) <= 1:
        raise ValueError(f"not a share from -1 to 1: {text!r}")
    return path, float(share)


def parse_graft(text: str) -> tuple[Path, tuple[str, ...]]:
    """ "CHECKPOINT=part,part" -> path and parts; raises ValueError."""
    path, parts = _pair(text, "CHECKPOINT=part,part")
    return path, tuple(parts.split(","))


def _pair(text: str, form: str) -> tuple[Path, str]:
    path, _, rest = text.rpartition("=")
    if not path or not rest:
        raise ValueError(f"not {form}: {text!r}")
    return Path(path), rest


def graft_parts(model: nn.Module, grafts: Sequence[tuple[Path, tuple[str, ...]]]) -> None:
    """Replace parts of `model`, modules or single parameters, by those of the averaged models of
    other checkpoints; raises ValueError if one lacks a part."""
    for path, parts in grafts:
        average = torch.load(path, map_location="cpu", weights_only=True)["average"]
        for part in parts:
            own = {k: v for k, v in average.items() if f"{k}.".startswith(f"{part}.")}
            if not own:
                raise ValueError(f"{path} has no part {part}")
            model.load_state_dict(model.state_dict() | own)


def export_weights(
    checkpoint: Path,
    folder: Path,
    model_id: int,
    ladder: Path | None,
    notes: dict[str, str],
    config: Config | None = None,
    others: Sequence[tuple[Path, float]] = (),
) -> None:
    """Runtime weights of a new model id with the given ladder, else the folder's, else one without
    indices.

    `others` are models to blend in, one after the other, with their shares.
    """
    steps: list[int] = [0] * 201
    if ladder is not None:
        steps = json.loads(ladder.read_text())
    elif (folder / "manifest.json").exists():
        steps = json.loads((folder / "manifest.json").read_text())["ladder"]
    model = load_average(checkpoint, config)
    for path, share in others:
        blend(model, load_model(path, config), share)
    export(model, folder, {"ladder": steps, "training": notes}, model_id)


def measure_throughput(
    data: Path,
    metric_weights: Path | None,
    device: str,
    seconds: float,
    batch: int = 16,
    crop: int = 128,
) -> None:
    """Print one log line per stage, each trained for `seconds` from random weights."""
    photos = read_photos(data, smallest=crop, limit=400)
    for stage in ORDER:
        with tempfile.TemporaryDirectory() as folder:
            settings = Settings(out=Path(folder), minutes=seconds / 60, device=device, log_steps=4)
            model: Any = HdcModel(Config()).to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            prepare(
                stage,
                model,
                Crops(photos, size=crop, batch=batch, device=device),
                settings,
                metric_weights,
            ).run()
