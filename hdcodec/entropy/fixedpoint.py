"""The fixed-point conventions of everything that decides a probability."""

from __future__ import annotations

FRACTION_BITS = 10
"""Activations, means and log-scales are integers in units of 2**-10."""

WEIGHT_BITS = 12
"""Weights are 16-bit integers in units of 2**-12; biases in units of 2**-22."""

INT16_MAX = 32767
ACTIVATION_MAX = INT16_MAX / 2**FRACTION_BITS

SYMBOL_MAX = 24
"""Latent symbols lie in [-24, 24]."""

SCALES = 64
SCALE_STEP = 96
"""Neighbouring Gaussian tables differ by 96 / 1024 in the natural logarithm of the scale."""

LOG_SCALE_MIN = -2260
"""Natural logarithm of the smallest scale (0.11), in units of 2**-10."""

PROBABILITY_BITS = 24
"""Frequencies of a table sum to 2**24."""
