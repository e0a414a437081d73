"""The `sprdiff` model family: pictures as samples of a diffusion in the latents of a small VAE."""

from .family import Sprdiff as Family

__all__ = ["Family"]
