"""The optimizers: AdamW, or Muon for the 1x1 convolutions, most of the networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .precision import compute_type

OPTIMIZERS = ("adamw", "muon")
LEAST_SIDE = 16
"""Smaller matrices than this stay with AdamW."""


class Optimizer:
    """AdamW, with Muon (Jordan et al. 2024) for matrices if asked for; both at one learning rate.

    Muon's updates are scaled to the size of AdamW's (Moonlight, Liu et al. 2025).
    """

    def __init__(self, kind: str, parameters: Sequence[nn.Parameter], lr: float) -> None:
        matrices = [p for p in parameters if kind == "muon" and is_matrix(p)]
        known = {id(p) for p in matrices}
        rest = [p for p in parameters if id(p) not in known]
        self.parts: list[torch.optim.Optimizer] = []
        if rest:
            self.parts.append(
                torch.optim.AdamW(
                    rest, lr, betas=(0.9, 0.98), weight_decay=1e-4, capturable=rest[0].is_cuda
                )
            )
        self.views = [(p, nn.Parameter(p.detach().view(p.shape[0], -1))) for p in matrices]
        if self.views:
            self.parts.append(Muon([view for _, view in self.views], lr))

    def set_rate(self, lr: float) -> None:
        """The learning rate from now on; on a GPU a number in its memory, so that a recorded update
        follows it."""
        for part in self.parts:
            for group in part.param_groups:
                if not group["params"][0].is_cuda:
                    group["lr"] = lr
                elif isinstance(group["lr"], Tensor):
                    group["lr"].fill_(lr)
                else:
                    group["lr"] = torch.tensor(lr, device=group["params"][0].device)

    def step(self) -> None:
        """One update from the parameters' gradients."""
        for p, view in self.views:
            view.grad = None if p.grad is None else p.grad.view(view.shape)
        for part in self.parts:
            part.step()

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


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised by five Newton-Schulz steps, for matrices of one shape at once.

    Unlike `torch.optim.Muon` it can be recorded on a GPU, where the learning rate is a tensor, and
    multiplies in float32 on CPUs that only imitate bfloat16, where that takes thirty times as long.
    """

    def __init__(self, matrices: Sequence[nn.Parameter], lr: float) -> None:
        super().__init__(matrices, {"lr": lr, "weight_decay": 1e-4, "momentum": 0.95})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One update of every matrix that has a gradient."""
        for group in self.param_groups:
            alike: dict[tuple[int, int], list[Tensor]] = {}
            for p in group["params"]:
                if p.grad is not None:
                    alike.setdefault((min(p.shape), max(p.shape)), []).append(p)
            for (_, length), matrices in alike.items():
                self._update(matrices, 0.2 * length**0.5, group)

    def _update(self, matrices: list[Tensor], size: float, group: dict[str, Any]) -> None:
        gradients = [p.grad for p in matrices if p.grad is not None]
        states = [self._momentum(p) for p in matrices]
        torch._foreach_lerp_(states, gradients, 1 - group["momentum"])
        nesterov = torch._foreach_lerp(gradients, states, group["momentum"])
        upright = [m.T if m.shape[0] > m.shape[1] else m for m in nesterov]
        updates = orthogonal(torch.stack(upright)).to(matrices[0].dtype) * (-size * group["lr"])
        turned = [
            u.T if p.shape[0] > p.shape[1] else u for u, p in zip(updates, matrices, strict=True)
        ]
        torch._foreach_mul_(matrices, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(matrices, turned)

    def _momentum(self, p: Tensor) -> Tensor:
        state = self.state[p]
        if not state:
            state["momentum"] = torch.zeros_like(p)
        momentum: Tensor = state["momentum"]
        return momentum


def orthogonal(matrices: Tensor) -> Tensor:
    """The nearest matrices with singular values about 1: N x rows x columns, rows <= columns;
    by the quintic iteration of Jordan et al. 2024 in `compute_type`, which it allows."""
    x: Tensor = matrices.to(compute_type(matrices.device))
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(5):
        square = x @ x.mT
        x = 3.4445 * x + (-4.775 * square + 2.0315 * square @ square) @ x
    return x
