"""Weights in bfloat16 beside those that the optimizer moves, so that no step has to cast them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

FLOAT32 = ("codebook",)
"""Parts that compute without autocast."""


class Copies:
    """Puts a bfloat16 copy in the place of every learning weight of `model` that autocast would
    cast, those of convolutions and linear layers (mixed precision, Micikevicius et al. 2018).

    The optimizer goes on with `trained`, the float32 masters. Their gradients lie in one buffer,
    that of `gradient`, whose norm is that of all. With no `trained` nothing is done.
    """

    def __init__(self, model: nn.Module, trained: Sequence[nn.Parameter]) -> None:
        self.masters = castable(model, trained)
        self.copies = {name: _replaced(model, name) for name in self.masters}
        copies = {id(p): self.copies[name] for name, p in self.masters.items()}
        self.pairs = [(p, copies.get(id(p), p)) for p in trained]
        device = trained[0].device if trained else None
        buffer = torch.zeros(sum(p.numel() for p in trained), device=device)
        self.gradient = nn.Parameter(torch.empty_like(buffer), requires_grad=False)
        self.gradient.grad = buffer
        self.views, start = [], 0
        for p in trained:
            self.views.append(buffer.as_strided(p.shape, p.stride(), start))
            start += p.numel()

    def zero_grad(self) -> None:
        """Forget the gradients."""
        assert self.gradient.grad is not None
        self.gradient.grad.zero_()
        for master, copy in self.pairs:
            master.grad = copy.grad = None

    @torch.no_grad()
    def collect(self) -> None:
        """Move the gradients from the copies to the masters."""
        views, gradients = [], []
        for (master, copy), view in zip(self.pairs, self.views, strict=True):
            if copy.grad is not None:
                views.append(view)
                gradients.append(copy.grad)
                master.grad = view
        _copy(gradients, views)

    @torch.no_grad()
    def refresh(self) -> None:
        """Round the masters anew."""
        _copy([*self.masters.values()], [*self.copies.values()])

    @torch.no_grad()
    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take the masters from the state of a model."""
        for name, master in self.masters.items():
            master.copy_(state[name])
        self.refresh()


def castable(model: nn.Module, trained: Sequence[nn.Parameter]) -> dict[str, nn.Parameter]:
    """The learning weights and biases of convolutions and linear layers, by name."""
    learning = {id(p) for p in trained}
    return {
        f"{name}.{kind}": p
        for name, module in model.named_modules()
        if isinstance(module, (nn.Conv2d, nn.Linear)) and name.split(".")[0] not in FLOAT32
        for kind, p in module.named_parameters(recurse=False)
        if id(p) in learning
    }


def _copy(sources: list[Tensor], targets: list[Tensor]) -> None:
    if targets:
        torch._foreach_copy_(targets, sources)


def _replaced(model: nn.Module, name: str) -> nn.Parameter:
    """A new parameter, the named one in bfloat16, in its place."""
    place, _, kind = name.rpartition(".")
    owner = model.get_submodule(place)
    copy = nn.Parameter(getattr(owner, kind).detach().bfloat16())
    setattr(owner, kind, copy)
    return copy
