"""Training in less memory: what a convolutional network saves for its backward pass is kept as truncated spectra of blocks.

``torch.autograd.graph.saved_tensors_hooks`` hands over each tensor that is saved. Of those that are feature maps
``(n, c, h, w)`` in floating point the low bands of each block are kept (``block_spectrum``), as float32, as bfloat16, or as
whole numbers of 8 or 4 bits with a scale for each channel and band; when the gradient needs the map, it is made of them
again. The forward pass is untouched, so are loss and activations; the gradients are approximate.

- A ReLU saves its result, to pass the gradient where it is positive. A truncated spectrum has small values of either sign where
  the map was zero, and would pass half of what is to be stopped. So a map whose least value is 0 is kept with one bit
  a sample, set where it is positive: the gradient is stopped exactly where it should be, and the zeros are exact for the
  convolution that reads the same map.
- Maps of two values, such as the masks of dropout, are kept with one bit a sample: nothing is lost.
- What two layers save, such as the result of a ReLU that a convolution reads, is kept once.
- The indices of a max pooling are kept as int16 or int32 where they fit: nothing is lost.
- All else stays as it is: parameters and what has their shape (weights that autocast converted or a layer composed),
  statistics of BatchNorm, vectors and matrices, maps of one sample, and maps with fewer than ``SMALL`` numbers.

Dropping bands costs more than fewer bits do. Of a ResNet-18 with random weights (``benchmarks/activations.json``) all bands with
4 bits need as much memory as half of them with 8, and the error of the gradient is 0.18 against 0.35. The error is not
that of each layer's weights alone: BatchNorm passes the gradient on by its input, which is approximate, too.

The idea of keeping spectra for the backward pass is that of compressed training: R. D. Evans, L. Liu and T. M. Aamodt, "JPEG-ACT:
accelerating deep learning via transform-based lossy compression", ISCA 2020, which takes the 8x8 DCT and a quantisation table.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef

from dctnet.arguments import choice, finite, whole
from dctnet.nn.block_spectrum import Block, bands_kept, fitting_block, to_maps, to_spectra

SMALL = 4096
FORMATS = {"float32": torch.float32, "bf16": torch.bfloat16, "int8": torch.int8, "int4": torch.uint8}
LEVELS = {"int8": 127, "int4": 7}  # whole numbers from -level to level
SHARED = 16  # a scale serves as many whole numbers, or more


@dataclass
class Saved:
    """What forward passes inside of ``compressed_activations`` saved, in bytes: ``exact`` as torch does, ``kept`` as it was kept.

    A storage that is saved several times counts once; parameters and buffers do not count, as they are there anyway.
    """

    exact: int = 0
    kept: int = 0


@contextmanager
def compressed_activations(model: nn.Module, keep: float = 0.5, dtype: str = "int8", block: int = 8) -> Iterator[Saved]:
    """Forward passes inside save truncated spectra: ``with compressed_activations(model, keep=0.5): loss = ...``.

    ``keep`` in (0, 1] is the share of the coefficients of a block (one at least), and ``dtype`` how they are kept: "int8",
    "int4", "bf16" or "float32". Blocks have at most ``block`` samples a side, fewer where that fits the map better
    (``fitting_block``: a side of 7 is one block, 28 are four). Of float32 maps there remain keep / 8 with int4, keep / 4 with
    int8, keep / 2 with bf16, 1/32 more for those of ReLUs, and the scales. ``backward`` may be called inside or outside. What
    it gives are the ``Saved`` bytes, which grow with each pass.

    Works beside autocast and with channels-last maps. Nested, the inner one counts. ``keep=1, dtype="float32"`` gives the
    gradients to rounding. Inside of a region of ``torch.utils.checkpoint`` nothing is saved; its input is, and is packed like any
    other map, so the region is computed again from what is left of it, and its gradients are exact for that input.
    Layers that pass the gradient by the sign of their *input* (LeakyReLU, Hardtanh, ReLU6) see the approximate one.
    One look at the least value of each map makes a GPU wait for itself.

    4-D tensors are taken as (n, c, h, w). ValueError for a model with LayerNorm or MultiheadAttention, which order their axes
    differently; others that do are not recognised, and what they save is compressed as if it were maps. ValueError, too, for a
    keep, dtype or block that is none.

    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1))
    >>> with compressed_activations(model, keep=0.25, dtype="bf16") as saved:
    ...     model(torch.rand(4, 3, 32, 32)).sum().backward()
    >>> saved
    Saved(exact=180224, kept=26624)
    """
    packing = _Packing(model, keep, dtype, block)
    with torch.autograd.graph.saved_tensors_hooks(packing.pack, packing.unpack):
        yield packing.saved


class _Packing:
    """The two hooks, and what they remember: which storages were counted, and which maps are kept already."""

    def __init__(self, model: nn.Module, keep: float, dtype: str, block: int):
        if not isinstance(model, nn.Module):
            raise ValueError(f"the model is an nn.Module, whose weights stay exact; got a {type(model).__name__}")
        other = [layer for layer in model.modules() if isinstance(layer, (nn.LayerNorm, nn.MultiheadAttention))]
        if other:
            raise ValueError(
                f"4-D tensors are compressed as maps (n, c, h, w); this model has a {type(other[0]).__name__}, beside which "
                "they have other axes. Wrap the forward pass of its convolutional part only, with that part as the model."
            )
        self.keep, self.block = finite("keep", keep, 0, 1, open_low=True), whole("block", block, 2)
        self.format = choice("dtype", dtype, FORMATS)
        self.weights = {tuple(p.shape) for p in model.parameters() if p.ndim == 4}
        for layer in model.modules():
            if isinstance(layer, nn.Conv2d):
                self.weights.add((layer.out_channels, layer.in_channels // layer.groups, *layer.kernel_size))
        self.own = {t.untyped_storage()._cdata for t in (*model.parameters(), *model.buffers())}
        self.saved = Saved()
        self.counted: dict[int, StorageWeakRef] = {}
        self.left: dict[int, StorageWeakRef] = {}
        self.packed: WeakValueDictionary[tuple[Any, ...], _Spectra | _Indices] = WeakValueDictionary()

    @torch.no_grad()
    def pack(self, tensor: Tensor) -> Tensor | _Spectra | _Indices:
        if type(tensor) not in (Tensor, nn.Parameter) or tensor.layout != torch.strided:
            return tensor
        storage = tensor.untyped_storage()
        if storage._cdata in self.own:
            return tensor
        self.saved.exact += _new(storage, self.counted)
        kind = self._kind(tensor)
        if kind is None:
            self.saved.kept += _new(storage, self.left)
            return tensor
        # While the weak reference that a packed map holds is alive, no other storage can have this address.
        key = (storage._cdata, tensor._version, tensor.dtype, tensor.storage_offset(), tensor.shape, tensor.stride())
        packed = self.packed.get(key)
        if packed is None:
            packed = kind(tensor)
            packed.source = StorageWeakRef(storage)
            self.packed[key] = packed
            self.saved.kept += packed.nbytes()
        return packed

    @torch.no_grad()
    def unpack(self, packed: Tensor | _Spectra | _Indices) -> Tensor:
        return packed if isinstance(packed, Tensor) else packed.restore()

    def _kind(self, tensor: Tensor) -> Callable[[Tensor], _Spectra | _Indices] | None:
        """What makes the packed form of this tensor; None for what stays as it is."""
        if tensor.ndim != 4 or tensor.numel() < SMALL or tensor.shape[2] * tensor.shape[3] == 1:
            return None
        if tensor.dtype == torch.int64:
            return _Indices
        if not tensor.is_floating_point() or tuple(tensor.shape) in self.weights:
            return None
        return lambda maps: _Spectra(maps, self.keep, self.format, self.block)


def _new(storage: torch.UntypedStorage, known: dict[int, StorageWeakRef]) -> int:
    """The bytes of a storage that is not among the known ones, which it then is; else 0."""
    if storage._cdata in known:
        return 0
    if len(known) >= 4096:  # many steps in one context: forget what is gone
        for address in [address for address, reference in known.items() if reference.expired()]:
            del known[address]
    known[storage._cdata] = StorageWeakRef(storage)
    return storage.nbytes()


class _Spectra:
    """A map as the low bands of its blocks, with the bits of its positive samples where its least value is 0."""

    def __init__(self, maps: Tensor, keep: float, form: str, block: int):
        self.shape, self.dtype = maps.shape, maps.dtype
        self.last = maps.is_contiguous(memory_format=torch.channels_last) and not maps.is_contiguous()
        self.block: Block = fitting_block(tuple(maps.shape[-2:]), block)
        self.positive, self.only, self.spectra, self.scale = None, None, None, None
        if maps.amin() == 0:
            positive, peak = maps > 0, maps.amax()
            self.positive = _to_bits(positive)
            if torch.equal(maps, positive * peak):  # a mask, such as that of dropout
                self.only = peak
                return
        self.computed = torch.float64 if maps.dtype == torch.float64 else torch.float32
        spectra = to_spectra(maps.to(self.computed), self.block, bands_kept(self.block, keep))
        self.size, self.form = spectra.shape, form
        if form in LEVELS:
            n, _, rows, columns, _ = spectra.shape
            # Over the batch first, where whole rows of memory are compared.
            peak = spectra.abs().amax(0, keepdim=True)
            peak = peak.amax((2, 3) if n * rows * columns >= SHARED else (1, 2, 3), keepdim=True)
            self.scale = peak.div_(LEVELS[form]).clamp_(min=torch.finfo(self.computed).tiny)
            spectra = spectra.div_(self.scale).round_()
        self.spectra = _to_nibbles(spectra) if form == "int4" else spectra.to(FORMATS[form])

    def restore(self) -> Tensor:
        memory = torch.channels_last if self.last else torch.contiguous_format
        if self.only is not None:
            return (_from_bits(self.positive, self.shape) * self.only).to(self.dtype, memory_format=memory)
        whole = _from_nibbles(self.spectra, self.size) if self.form == "int4" else self.spectra
        spectra = whole.to(self.computed)
        if self.scale is not None:
            spectra = spectra * self.scale
        maps = to_maps(spectra, self.block, self.shape[-2:])
        if self.positive is not None:
            # Positive stays positive: this is all that a ReLU asks.
            positive = _from_bits(self.positive, self.shape)
            maps = maps.clamp_(min=torch.finfo(self.dtype).tiny).mul_(positive)
        return maps.to(self.dtype, memory_format=memory)

    def nbytes(self) -> int:
        return sum(part.nbytes for part in (self.spectra, self.scale, self.positive) if part is not None)


class _Indices:
    """Whole numbers in the smallest of int16, int32 and int64 that holds them."""

    def __init__(self, numbers: Tensor):
        low, high = (int(end) for end in torch.aminmax(numbers))
        small = [
            form
            for form in (torch.int16, torch.int32)
            if torch.iinfo(form).min <= low and high <= torch.iinfo(form).max
        ]
        self.numbers = numbers.to(small[0]) if small else numbers

    def restore(self) -> Tensor:
        return self.numbers.long()

    def nbytes(self) -> int:
        return self.numbers.nbytes


def _to_nibbles(numbers: Tensor) -> Tensor:
    """Whole numbers -7 to 7, two in a byte: one of the first half, one of the second."""
    count = -(-numbers.numel() // 2)
    halves = torch.full((2 * count,), 8, dtype=torch.uint8, device=numbers.device)
    halves[: numbers.numel()] = numbers.reshape(-1).add_(8)
    return halves[:count] | halves[count:] << 4


def _from_nibbles(pairs: Tensor, shape: torch.Size) -> Tensor:
    return torch.cat([pairs & 15, pairs >> 4])[: math.prod(shape)].view(shape).to(torch.int8) - 8


def _to_bits(flags: Tensor) -> Tensor:
    """Flags, eight in a byte: bit k of byte i is flag ``i + k * ceil(count / 8)``, so that all is done on whole vectors."""
    count = -(-flags.numel() // 8)
    planes = flags.new_zeros(8 * count, dtype=torch.uint8)
    planes[: flags.numel()] = flags.reshape(-1)
    planes = planes.view(8, count)
    bits = planes[0].clone()
    for k in range(1, 8):
        bits |= planes[k] << k
    return bits


def _from_bits(bits: Tensor, shape: torch.Size) -> Tensor:
    shifts = torch.arange(8, dtype=torch.uint8, device=bits.device)[:, None]
    return ((bits >> shifts) & 1).flatten()[: math.prod(shape)].view(shape)
