"""A layer between layers: feature maps pass as truncated spectra of blocks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dctnet.arguments import finite, flag, whole
from dctnet.nn.block_spectrum import bands_kept, check_maps, to_maps, to_spectra


class DCTCompress(nn.Module):
    """``expand(compress(x))``: maps ``(n, c, H, W)`` without the high bands of their blocks.

    Of each ``block`` x ``block`` block the first ``count = max(1, round(keep * block**2))`` bands are kept, in the order by
    diagonals v + u (``block_spectrum`` has it to the last tie); the layer's ``keep`` is then ``count / block**2``, the share of
    the coefficients that is really kept. Where a side is no multiple of the block, its last sample is repeated up to one, and
    there are the more coefficients: ceil(H / block) * ceil(W / block) * count for H * W samples.

    The layer is an orthogonal projection of whole blocks: doing it twice changes nothing more, its gradient is the layer
    itself, and the energy that it loses is that of the bands that are dropped. In training ``lost``, a buffer, holds the
    lost share of the energy of the last batch, unless ``track=False``. ``dtype``, such as ``torch.bfloat16``, is that of the
    spectra in between; None is that of the maps. ValueError for a share outside of (0, 1].

    >>> layer = DCTCompress(keep=0.5, block=4)
    >>> layer.compress(torch.ones(2, 3, 8, 12)).shape, layer.keep
    (torch.Size([2, 3, 8, 2, 3]), 0.5)
    """

    def __init__(self, keep: float = 0.5, block: int = 8, dtype: torch.dtype | None = None, track: bool = True):
        super().__init__()
        self.block, keep = whole("block", block, 1), finite("keep", keep, 0, 1, open_low=True)
        if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
            raise ValueError(f"the dtype of the spectra is a floating one, as gradients pass through them; got {dtype}")
        self.count = bands_kept((self.block, self.block), keep)
        self.keep = self.count / self.block**2
        self.dtype, self.track = dtype, flag("track", track)
        self.register_buffer("lost", torch.zeros(()), persistent=False)

    def compress(self, maps: Tensor) -> Tensor:
        """Maps ``(n, c, H, W)`` to spectra ``(n, c, count, ceil(H / block), ceil(W / block))``, low bands first."""
        check_maps(maps)
        if maps.ndim != 4:
            raise ValueError(f"compressed are batches of maps (n, c, H, W); got {tuple(maps.shape)}")
        spectra = to_spectra(maps, (self.block, self.block), self.count).movedim(-1, 2)
        return spectra if self.dtype is None else spectra.to(self.dtype)

    def expand(self, spectra: Tensor, size: tuple[int, int], dtype: torch.dtype | None = None) -> Tensor:
        """Spectra to maps ``(n, c, *size)``, in ``dtype`` if that is given."""
        blocks = tuple(-(-side // self.block) for side in size)
        if spectra.ndim != 5 or spectra.shape[2:] != (self.count, *blocks):
            raise ValueError(
                f"maps of {tuple(size)} have spectra (n, c, {self.count}, {blocks[0]}, {blocks[1]}); got {tuple(spectra.shape)}"
            )
        spectra = spectra if dtype is None else spectra.to(dtype)
        return to_maps(spectra.movedim(2, -1), (self.block, self.block), size)

    def forward(self, maps: Tensor) -> Tensor:
        kept = self.expand(self.compress(maps), maps.shape[-2:], maps.dtype)
        if self.training and self.track:
            with torch.no_grad():
                self.lost.copy_(_lost(maps, kept))
        return kept

    @torch.no_grad()
    def energy_lost(self, maps: Tensor) -> Tensor:
        """The share of the energy of each channel that the layer drops, ``(c,)``: sum (x - forward(x))**2 / sum x**2."""
        return _lost(maps, self.expand(self.compress(maps), maps.shape[-2:], maps.dtype), (0, 2, 3))

    def extra_repr(self) -> str:
        return f"keep={self.count}/{self.block**2}, block={self.block}, dtype={self.dtype}"


def _lost(maps: Tensor, kept: Tensor, axes: tuple[int, ...] = (0, 1, 2, 3)) -> Tensor:
    """The share of energy by which the maps differ; 0 for maps of zeros."""
    whole = maps.float().square().sum(axes)
    return (maps.float() - kept.float()).square().sum(axes) / whole.clamp(min=torch.finfo(whole.dtype).tiny)
