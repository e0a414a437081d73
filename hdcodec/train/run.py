"""A stage from start to end: model, data, loss, loop; and the export of its result."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from hdcodec.models.devices import pick_device
from hdcodec.models.hdc.blocks import Block
from hdcodec.models.hdc.config import Config
from hdcodec.models.hdc.model import HdcModel
from hdcodec.models.hdc.residual import FeatureTokens, LatentTokens
from hdcodec.models.sprdiff.codec import used
from hdcodec.perceptual import DISTS, LPIPS, find_dists, find_lpips
from hdcodec.weights import read_folder

from .checkpoint import averaged, read
from .codec import codec_views, load_encoders, start_codec
from .coded import load_coded, sampler_views, start_sampler
from .data import Batches, Crops, read_photos
from .diffuse import diffusion_views, start_diffusion
from .draw import Drawing
from .export import export
from .latents import CachedLatents, load_frozen
from .loop import Settings, Trainer
from .precision import compute_type
from .realism import Realism
from .restore import restore
from .samples import hdc_views, write_samples
from .semantic import semantic_views, start_semantic
from .stages import STAGES, Judges
from .teacher import load_teacher
from .tokens import load_hdc, starting, tokens_views
from .vae import start_vae, vae_views

ORDER = tuple(name for name, stage in STAGES.items() if stage.model == "hdc")
"""The stages of hdc, each of which begins with what the one before it left."""


class Trained(NamedTuple):
    """A model: what its training begins with, given a checkpoint or a folder of weights (or none),
    sizes (or none) and crops; what a sheet of samples shows of a picture; and how the networks are
    loaded that are frozen around it, where there are such: both functions are given them, too."""

    start: Callable[..., nn.Module]
    views: Callable[..., list[Tensor]]
    frozen: Callable[..., nn.Module] | None = None


NEEDED = {
    "vae": "the checkpoint of a VAE",
    "semantic": "the checkpoint of a semantic encoder",
    "codec": "the checkpoint of a codec",
    "teacher": "the weights of a teacher",
}
"""What frozen networks are loaded from, by the names of options."""


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
    config: Any = None,
    vae: Path | None = None,
    semantic: Path | None = None,
    codec: Path | None = None,
    teacher: Path | None = None,
    views: int = 2,
    sigma: float | None = None,
    worth: float | None = None,
    without: tuple[str, ...] = (),
    **settings: Any,
) -> None:
    """Train one stage and leave its checkpoint and sample pictures in `out`.

    `init` is a checkpoint or a folder of weights to begin from, `config` the sizes of the networks,
    those of the stage's model by default. `vae`, `semantic`, `codec` and `teacher` are what stages
    load that name them in `needs`. Stages in latents encode `views` crops of every photo; `sigma`
    is the noise that samples of a diffusion begin with; `worth` multiplies what distortion counts
    for a codec, which is trained `without` some of its parts. Other `settings` are fields of
    `Settings`.
    Raises DeviceError; ValueError for what the device cannot do, where a stage lacks what it needs,
    and for files of another kind.
    """
    pick_device(device)
    _check_precision(device, copies, kernels)
    _set_up_torch(seed, threads)
    photos = read_photos(data, smallest=crop, limit=limit)
    crops = Crops(photos, size=crop, batch=batch, seed=seed, device=device)
    own, plan = out / f"{stage}.pt", STAGES[stage]
    origin = own if resume and own.exists() else _origin(stage, out, init)
    trained = MODELS[plan.model]
    named = {"vae": vae, "semantic": semantic, "codec": codec, "teacher": teacher}
    around = _frozen(stage, named, device)
    model = trained.start(origin, config, crops, **around)
    chosen_buffers = {"sigma": sigma, "worth": worth, "used": used(without) if without else None}
    for name, value in chosen_buffers.items():
        if value is not None:
            model.get_buffer(name).copy_(torch.as_tensor(value))
    model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    chosen = Settings(
        out=out,
        minutes=minutes,
        lr=lr or plan.lr,
        device=device,
        resume=resume,
        record=device == "cuda" and plan.steady,
        copies=copies,
        kernels=kernels,
        **settings,
    )
    batches = CachedLatents(crops, around["frozen"], views) if plan.latents else crops
    trainer = prepare(stage, model, batches, chosen, metric_weights, _players(origin), around)
    average = trainer.run().cpu().eval()
    shown = photos[:: max(1, len(photos) // 6)][:6]
    shown_by = partial(trained.views, average, **{k: v.cpu() for k, v in around.items()})
    write_samples(shown_by, shown, out / f"{stage}.png")


def _frozen(stage: str, given: Mapping[str, Path | None], device: str) -> dict[str, Any]:
    """By the name `frozen` the networks around a stage, where it needs any."""
    plan = STAGES[stage]
    load = MODELS[plan.model].frozen
    for name in plan.needs:
        if given[name] is None:
            raise ValueError(f"the stage {stage} needs {NEEDED[name]}")
    return {"frozen": load(*(given[name] for name in plan.needs), device)} if load else {}


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


def start_hdc(path: Path | None, config: Config | None, _: Crops | None = None) -> HdcModel:
    """The model of a folder of weights, the averaged one of a checkpoint, else an untrained one;
    grown to `config`."""
    if path is None:
        return HdcModel(config or Config())
    if path.is_dir():
        return grown(restore(read_folder(path)).state_dict(), config)
    return load_average(path, config)


MODELS = {
    "hdc": Trained(start_hdc, hdc_views),
    "vae": Trained(start_vae, vae_views),
    "diffusion": Trained(start_diffusion, diffusion_views, load_frozen),
    "codec": Trained(start_codec, codec_views, load_encoders),
    "sampler": Trained(start_sampler, sampler_views, load_coded),
    "latent-tokens": Trained(starting(LatentTokens), tokens_views, load_hdc),
    "feature-tokens": Trained(starting(FeatureTokens), tokens_views, load_hdc),
    "semantic": Trained(start_semantic, semantic_views, load_teacher),
}


def _players(checkpoint: Path | None) -> dict[str, Tensor] | None:
    """The discriminators that a checkpoint was trained with, if any."""
    if checkpoint is None or checkpoint.is_dir():
        return None
    return read(checkpoint).get("aside")


def load_average(checkpoint: Path, config: Config | None = None) -> HdcModel:
    """The averaged model of a checkpoint, grown to `config`; raises ValueError where that is of
    another model."""
    try:
        return grown(averaged(checkpoint), config)
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"{checkpoint} is not a checkpoint of hdc") from error


def grown(state: Mapping[str, Tensor], config: Config | None = None) -> HdcModel:
    """A model of any depth from the state of a shallower one: blocks it lacks pass on what they
    get, other parts it lacks stay untrained. Raises ValueError where it has none of them."""
    model = HdcModel(config or Config())
    if state.keys().isdisjoint(model.state_dict()):
        raise ValueError("the state is of another model")
    missing = set(model.load_state_dict(state, strict=False).missing_keys)
    for name, module in model.named_modules():
        if isinstance(module, Block) and f"{name}.leave.weight" in missing:
            module.pass_on()
    return model


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
    export(load_average(checkpoint, config), folder, notes_of, model_id)
