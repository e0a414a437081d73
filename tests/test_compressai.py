"""The rate that training minimises is the one CompressAI's entropy models compute."""

import pytest
import torch

pytest.importorskip("compressai", reason="pip install compressai", exc_type=ImportError)


def test_gaussian_bits_equal_those_of_compressai() -> None:
    from compressai.entropy_models import GaussianConditional

    from hdcodec.models.latent.coding import gaussian_bits

    generator = torch.Generator().manual_seed(0)
    symbols = torch.randint(-4, 5, (1, 8, 16, 16), generator=generator).float()
    scales = torch.rand(1, 8, 16, 16, generator=generator) * 4 + 0.2
    theirs = GaussianConditional(None, scale_bound=0.11)
    likelihood = theirs._likelihood(symbols, scales)
    seen = likelihood > 1e-6
    ours = gaussian_bits(symbols, scales.log())
    torch.testing.assert_close(ours[seen], -torch.log2(likelihood)[seen], rtol=1e-3, atol=1e-3)
