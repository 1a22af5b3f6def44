"""What is exact in float32 stays so where a network is trained under autocast."""

import pytest
import torch

from dctnet.coefficients import Coefficients
from dctnet.dct import block_dct, block_idct
from dctnet.jpeg.pixels import from_pixels
from dctnet.transforms import functional as F
from dctnet.transforms.batched import plan
from dctnet.transforms.compose import Compose
from dctnet.transforms.geometric import Resize
from dctnet.transforms.rotation import Rotate

CHAIN = Compose([Resize((13, 21)), Rotate(20)], block_size=4)
LABELS = torch.tensor([0, 1])


def at_once(planes):
    pictures = [planes.map(lambda plane, i=i: plane[i]) for i in range(2)]
    made = plan(CHAIN, pictures, [None, None])
    return made.apply(made.pack(pictures))


FUNCTIONS = {
    "adjust_contrast": lambda p: F.adjust_contrast(p, 1.3),
    "adjust_sharpness": lambda p: F.adjust_sharpness(p, 2.0),
    "at once": at_once,
    "autocontrast": F.autocontrast,
    "blocks of 16": lambda p: F.reblock(p, 16),
    "box_mask": lambda p: F.box_mask(p, 3, 5, 7, 9),
    "chain": CHAIN,
    "crop": lambda p: F.crop(p, 3, 5, 7, 9),
    "cutmix": lambda p: F.cutmix(p, LABELS, 3, 5, 7, 9, 2)[0],
    "erase": lambda p: F.erase(p, 3, 5, 7, 9, 10),
    "from_pixels": lambda p: from_pixels(block_idct(p.y)[:, None].expand(-1, 3, -1, -1)),
    "gaussian_blur": lambda p: F.gaussian_blur(p, 5, 1.5),
    "mixup": lambda p: F.mixup(p, LABELS, 0.3, 2)[0],
    "resize": lambda p: F.resize(p, 13),
    "samples": lambda p: p.map(lambda plane: block_dct(block_idct(plane), 16)),
    "solarize": lambda p: F.solarize(p, 100),
    "spectral_sharpness": lambda p: F.spectral_sharpness(p, 0.3),
}


@pytest.mark.parametrize("tracked", [False, True])
@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_autocast_changes_nothing(function, tracked):
    generator = torch.Generator().manual_seed(0)
    samples = (torch.rand(2, n, n, generator=generator) * 255 - 128 for n in (32, 16, 16))
    planes = Coefficients(*(block_dct(plane, 8).requires_grad_(tracked) for plane in samples))
    wanted = function(planes)
    with torch.autocast("cpu", torch.bfloat16):
        found = function(planes)
    for plane, truth in zip(found, wanted, strict=True):
        assert plane.dtype == truth.dtype == torch.float32
        torch.testing.assert_close(plane, truth, rtol=0, atol=1e-3)
