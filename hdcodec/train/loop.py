"""The training loop every stage shares: time budget, EMA, mixed precision, checkpoints, log."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .copies import Copies
from .data import Batches
from .figures import Figures
from .optimizer import Optimizer
from .precision import autocast
from .replay import Replay

Loss = Callable[[Tensor, float, torch.Generator], tuple[Tensor, Figures]]
"""(batch, progress 0..1, generator) -> loss and named figures for the log."""


@dataclass
class Settings:
    """How long and how fast: minutes of wall time, peak learning rate, where checkpoints go.

    The rate rises for `warmup_steps` or a tenth of the time, whichever ends first.
    With `pause` a run ends after so many minutes of its own, to be resumed. With `record`, on a
    GPU, steps are recorded and played again, which a loss that changes with progress does not
    allow. With `copies` networks compute with weights kept in bfloat16 (`Copies`); `kernels` are
    those of LPIPS and DISTS (`fused`).
    """

    out: Path
    minutes: float
    lr: float = 1e-3
    optimizer: str = "adamw"
    lr_end: float = 0.03
    warmup_steps: int = 100
    clip: float = 1.0
    ema: float = 0.999
    save_minutes: float = 4.0
    log_steps: int = 100
    device: str = "cpu"
    resume: bool = False
    max_steps: int | None = None
    pause: float | None = None
    record: bool = False
    copies: bool = False
    kernels: bool = False


@dataclass
class Averages:
    """Means of the figures since the last log line."""

    total: Figures = field(default_factory=dict)
    count: int = 0

    def add(self, figures: Figures) -> None:
        """Count one step's figures in."""
        self.count += 1
        for name, value in figures.items():
            self.total[name] = value + self.total.get(name, 0.0)

    def take(self) -> dict[str, float]:
        """The means; starts again from nothing."""
        means = {k: float(v) / max(1, self.count) for k, v in self.total.items()}
        self.total, self.count = {}, 0
        return means


class Trainer:
    """Trains the parameters of `trained` inside `model`; keeps an EMA copy of `model`.

    `aside` learns with the model and is kept beside it in the checkpoints, as it is.
    """

    def __init__(
        self,
        stage: str,
        model: nn.Module,
        trained: list[nn.Parameter],
        loss: Loss,
        crops: Batches,
        settings: Settings,
        aside: nn.Module | None = None,
    ) -> None:
        self.stage, self.model, self.aside = stage, model, aside
        self.loss, self.crops, self.set = loss, crops, settings
        self.optimizer = Optimizer(settings.optimizer, trained, settings.lr)
        self.average = copy.deepcopy(model).requires_grad_(False).eval()
        pairs = list(zip(self.average.parameters(), model.parameters(), strict=True))
        self.averaged: list[Tensor] = [a for a, b in pairs if b.requires_grad]
        self.averaging: list[Tensor] = [b for _, b in pairs if b.requires_grad]
        self.copies = Copies(model, trained if settings.copies else [])
        self.clipped = [self.copies.gradient] if settings.copies else trained
        self.step, self.seconds = 0, 0.0
        self.replay = Replay(self._update) if settings.record else None
        if settings.resume:
            self._load()

    def run(self) -> nn.Module:
        """Train until the budget is spent, or to a pause; returns the EMA model."""
        budget, averages, last_save = self.set.minutes * 60, Averages(), self.seconds
        if self.set.pause is not None:
            budget = min(budget, self.seconds + self.set.pause * 60)
        start, last_log, data_seconds = time.monotonic() - self.seconds, time.monotonic(), 0.0
        self.model.train()
        while self.seconds < budget and (
            self.set.max_steps is None or self.step < self.set.max_steps
        ):
            tick = time.monotonic()
            batch = self.crops(self.step)
            data_seconds += time.monotonic() - tick
            averages.add(self._step(batch, self._progress()))
            now = time.monotonic()
            self.seconds = now - start
            if self.step % self.set.log_steps == 0:
                wall, last_log = now - last_log, now
                self._log(averages, wall, data_seconds)
                data_seconds = 0.0
            if self.seconds - last_save > self.set.save_minutes * 60:
                self.save()
                last_save = self.seconds
        self.save()
        return self.average

    def _progress(self) -> float:
        """How much of the budget is spent, 0..1: of the minutes, or of the steps where that is
        more."""
        steps = self.step / self.set.max_steps if self.set.max_steps else 0.0
        return max(self.seconds / (self.set.minutes * 60), steps)

    def _step(self, batch: Tensor, progress: float) -> Figures:
        generator = torch.Generator().manual_seed(self.step)
        warm = min(1.0, max((self.step + 1) / self.set.warmup_steps, 10 * progress))
        self.optimizer.set_rate(self.set.lr * warm * cosine(progress, self.set.lr_end))
        if self.replay is not None:
            figures = self.replay(batch, generator)
        else:
            figures = self._update(batch, generator, progress)
        self._update_average()
        self.step += 1
        return figures

    def _update(self, batch: Tensor, generator: torch.Generator, progress: float = 0.0) -> Figures:
        with autocast(self.set.device):
            loss, figures = self.loss(batch, progress, generator)
        self.optimizer.zero_grad()
        self.copies.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.copies.collect()
        norm = nn.utils.clip_grad_norm_(self.clipped, self.set.clip)
        for p in self.clipped:
            if p.grad is not None:
                p.grad.nan_to_num_(0.0, 0.0, 0.0)  # all of them where the norm is not finite
        self.optimizer.step()
        self.copies.refresh()
        return {"loss": loss.detach(), "norm": norm.nan_to_num(0.0, 0.0, 0.0), **figures}

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.set.ema, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(self.averaged, self.averaging, 1 - decay)
        for a, b in zip(self.average.buffers(), self.model.buffers(), strict=True):
            a.copy_(b)

    def _log(self, averages: Averages, wall: float, data: float) -> None:
        row: dict[str, Any] = {
            "stage": self.stage,
            "step": self.step,
            "minutes": round(self.seconds / 60, 2),
            "images_per_s": round(averages.count * self.crops.batch / wall, 1),
            "data_percent": round(100 * data / wall, 1),
        }
        row |= {k: round(v, 5) for k, v in averages.take().items()}
        print(json.dumps(row), flush=True)

    def save(self) -> None:
        """Write the checkpoint (model, EMA, optimizer, counters) beside, then rename."""
        self.set.out.mkdir(parents=True, exist_ok=True)
        state = {
            "model": self._state(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }
        if self.aside is not None:
            state["aside"] = self.aside.state_dict()
        path = self.set.out / f"{self.stage}.pt"
        torch.save(state, path.with_suffix(".tmp"))
        path.with_suffix(".tmp").replace(path)

    def _state(self) -> dict[str, Tensor]:
        masters = {name: p.detach() for name, p in self.copies.masters.items()}
        return self.model.state_dict() | masters

    def _load(self) -> None:
        path = self.set.out / f"{self.stage}.pt"
        if not path.exists():
            return
        state = torch.load(path, map_location=self.set.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.copies.load(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.aside is not None and "aside" in state:
            self.aside.load_state_dict(state["aside"])
        self.step, self.seconds = state["step"], state["seconds"]


def cosine(progress: float, end: float) -> float:
    """1 falling to `end` along half a cosine."""
    return end + (1 - end) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
