"""Small networks of every name, and pictures that are large enough for them."""

import pytest
import torch
import torch.nn.functional as F

from dctnet.coefficients import Coefficients, block_sizes
from dctnet.dct import block_dct
from dctnet.models.zoo import create_model, list_models, options_of

# More layers of the kinds that mg_6, r_mg_12 and pr_mg_16 are: the same code for longer.
DEEPER = ("mg_11", "mg_16", "mg_21", "r_mg_22", "r_mg_32", "r_mg_42", "pr_mg_30", "pr_mg_44")
EVERY_NAME = [pytest.param(name, marks=pytest.mark.slow) if name in DEEPER else name for name in list_models()]


def small(name: str, **options) -> torch.nn.Module:
    """A network of this name that is quick to run, with ten classes."""
    options = {"num_classes": 10, "width": 0.125, "depth": 18} | options
    torch.manual_seed(0)
    return create_model(
        name, **{key: value for key, value in options.items() if key == "num_classes" or key in options_of(name)}
    )


def side_for(name: str, block_size=8) -> int:
    """Pixels of the pictures that leave ``small(name)`` more than one value a channel at its end."""
    if "selected" not in name:
        return 64
    return (32 if "mobilenet" in name else 16) * block_sizes(block_size)[0]


def pictures(block_size=8, side: int = 64, n: int = 2, full_chroma: bool = False, seed: int = 0) -> Coefficients:
    """Random coefficients with a spectrum that falls: the DCT of smooth noise around 0, tens of gray levels strong."""
    generator = torch.Generator().manual_seed(seed)
    sizes = block_sizes(block_size)
    planes = []
    for b, spacing in ((sizes[0], 1), (sizes[1], 2 - full_chroma), (sizes[1], 2 - full_chroma)):
        coarse = 50 * torch.randn(n, 1, side // 8, side // 8, generator=generator)
        samples = F.interpolate(coarse, size=(side // spacing,) * 2, mode="bilinear")
        samples = samples + 5 * torch.randn(samples.shape, generator=generator)
        planes.append(block_dct(samples[:, 0], b))
    return Coefficients(*planes)
