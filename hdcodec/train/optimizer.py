"""The optimizers: AdamW, or Muon for the 1x1 convolutions, most of the networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .team import ALONE, Team

OPTIMIZERS = ("adamw", "muon")
LEAST_SIDE = 16
"""Smaller matrices than this stay with AdamW."""


class Optimizer:
    """AdamW, with Muon (Jordan et al. 2024) for matrices if asked for; both at one learning rate.

    Muon's updates are scaled to the size of AdamW's (Moonlight, Liu et al. 2025). Needs torch 2.9;
    raises ValueError without it. Each process of a team updates its share of the matrices.
    """

    def __init__(
        self, kind: str, parameters: Sequence[nn.Parameter], lr: float, team: Team = ALONE
    ) -> None:
        self.team = team
        matrices = [p for p in parameters if kind == "muon" and is_matrix(p)]
        known = {id(p) for p in matrices}
        rest = [p for p in parameters if id(p) not in known]
        self.parts: list[torch.optim.Optimizer] = []
        if rest:
            self.parts.append(torch.optim.AdamW(rest, lr, betas=(0.9, 0.98), weight_decay=1e-4))
        self.views = [(p, nn.Parameter(p.detach().view(p.shape[0], -1))) for p in matrices]
        self.owners = _owners([view for _, view in self.views], team.size)
        if self.owners[team.rank]:
            self.parts.append(_muon(self.owners[team.rank], lr))

    def step(self, lr: float) -> None:
        """One update from the parameters' gradients."""
        for p, view in self.views:
            view.grad = None if p.grad is None else p.grad.view(view.shape)
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = lr
            part.step()
        for rank, views in enumerate(self.owners):
            self.team.share([view.data for view in views], rank)

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for part in self.parts:
            part.zero_grad(set_to_none=True)
        for p, _ in self.views:
            p.grad = None

    def state_dict(self) -> list[dict[str, Any]]:
        """What `load_state_dict` takes."""
        return [part.state_dict() for part in self.parts]

    def load_state_dict(self, state: list[dict[str, Any]]) -> None:
        """Continue where `state_dict` was taken; raises ValueError if the parameters differ."""
        for part, own in zip(self.parts, state, strict=True):
            part.load_state_dict(own)


def is_matrix(p: Tensor) -> bool:
    """Whether it is the weight of a 1x1 convolution or a linear layer, and not a thin one."""
    flat = p.dim() == 2 or (p.dim() == 4 and p.shape[2:] == (1, 1))
    return flat and min(p.shape[0], p.shape[1]) >= LEAST_SIDE


def _owners(matrices: list[nn.Parameter], size: int) -> list[list[nn.Parameter]]:
    """The matrices in `size` lists of about the same work: Muon's is side x side x length."""
    owners: list[list[nn.Parameter]] = [[] for _ in range(size)]
    load = [0] * size
    for matrix in sorted(matrices, key=lambda m: -m.numel() * min(m.shape)):
        least = load.index(min(load))
        owners[least].append(matrix)
        load[least] += matrix.numel() * min(matrix.shape)
    return owners


def _muon(matrices: list[nn.Parameter], lr: float) -> torch.optim.Optimizer:
    kind: Any = getattr(torch.optim, "Muon", None)
    if kind is None:
        raise ValueError("this torch has no Muon; torch 2.9 or later has")
    optimizer: torch.optim.Optimizer = kind(
        matrices, lr, weight_decay=1e-4, adjust_lr_fn="match_rms_adamw"
    )
    return optimizer
