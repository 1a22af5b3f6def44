"""``dctnet fit`` with any augmentation, on coefficients or by torchvision on RGB pixels.

Usage: python experiments/augmented_fit.py --config NAME --data.augmentation rotation --data.domain pixels ...

Takes the arguments of `dctnet fit`, and two more: the name of one of ``twins.TWINS``, and where it is done. The crop, the flip
and the crop of validation are done there, too. Mixtures are ``--model.mixup`` and ``--model.cutmix`` in both domains.
"""

from __future__ import annotations

import sys
from typing import Any, Literal

from torchvision.transforms import v2
from twins import PixelChain, on_coefficients, on_pixels

from dctnet.cli import is_for_users
from dctnet.data.module import DCTDataModule
from dctnet.training.commands import run_trainer
from dctnet.transforms.compose import Compose
from dctnet.transforms.geometric import Reblock


class AugmentedData(DCTDataModule):
    """``DCTDataModule`` with an augmentation behind the flip.

    Args:
        augmentation: a name of twins.TWINS.
        domain: coefficients, or pixels: torchvision's transforms on decoded files. Needs block_size 1.
        settings: those of DCTDataModule.
    """

    def __init__(
        self, augmentation: str = "none", domain: Literal["coefficients", "pixels"] = "coefficients", **settings: Any
    ):
        super().__init__(**settings)
        if domain == "coefficients":
            added = on_coefficients(augmentation, self.image_size)
            back = [Reblock(self.block_size)] if any(isinstance(one, Reblock) for one in added) else []
            self.train_transform = Compose([*self.train_transform.transforms, *added, *back], self.block_size)
            return
        if self.block_size not in (1, (1, 1)) or self.bands is not None or self.mean is not None:
            raise ValueError(f"pixels are blocks of 1, all of them, as they are; got block_size {self.block_size}")
        crop, flip = self.train_transform.transforms[:2]
        boxes = {"scale": crop.scale, "ratio": crop.ratio, "antialias": True}
        augment = [v2.RandomResizedCrop(self.image_size, **boxes), v2.RandomHorizontalFlip(flip.p)]
        self.train_transform = PixelChain([*augment, *on_pixels(augmentation, self.image_size)])
        self.eval_transform = PixelChain([v2.Resize(self.resize_size, antialias=True), v2.CenterCrop(self.image_size)])


def main(words: list[str]) -> int:
    """Train; 2 with one line for what the user can put right."""
    try:
        run_trainer("fit", words, AugmentedData)
    except (ValueError, OSError) as error:
        if not (isinstance(error, OSError) or is_for_users(error)):
            raise
        print(f"augmented_fit: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
