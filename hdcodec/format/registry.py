"""The registered model ids. A model is one set of weights; new weights are a new model."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Model:
    """What an id in a header stands for.

    family: the kind of networks, a name of `hdcodec.models.FAMILIES`. parameters: how many numbers
    of the header are the family's, the first of 4 bits and the others of 8. release: of hdcodec,
    which ships the weights.
    """

    family: str
    parameters: int
    release: str


MODELS: dict[int, Model] = {1: Model("hdc", 2, "0.1"), 2: Model("sprdiff", 2, "0.2")}
"""Model id, 1..126, to model. An id keeps its meaning for ever, also when its weights are no longer
shipped."""
