"""Band-limited convolution against torch's own in float64, and numpy's whole spectra that are masked."""

import copy
import io
import math
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import prune
from torch.utils.checkpoint import checkpoint

from dctnet.nn import fast_dft, partial_dft
from dctnet.nn.band_limited import BandLimitedConv1d, BandLimitedConv2d, set_compression
from dctnet.nn.convolution_geometry import fast_size, geometry
from dctnet.nn.fft_convolution import fft_convolution
from dctnet.nn.overlap_save import tiling
from dctnet.nn.spectrum_masks import MASKS, dropped_fraction, spectrum_mask

# Maps, filters and arguments; the last ones are long enough for the fast transform and for tiles.
CASES = [
    ((2, 4, 9, 12), (6, 4, 3, 5), {}),
    ((2, 4, 9, 12), (6, 2, 3, 5), {"groups": 2, "padding": (1, 2), "stride": (2, 1)}),
    ((2, 4, 9, 12), (4, 1, 3, 3), {"groups": 4, "padding": "same", "dilation": (1, 3)}),
    ((2, 3, 8, 7), (2, 3, 4, 3), {"padding": "valid", "stride": 3, "dilation": 2}),
    ((3, 2, 5, 6), (3, 2, 5, 6), {}),
    ((1, 1, 1, 1), (1, 1, 31, 31), {"padding": 15}),
    ((3, 2, 10, 11), (3, 2, 1, 1), {"stride": 2}),
    ((2, 2, 8, 8), (2, 2, 3, 3), {"padding": 5}),
    ((1, 2, 64, 48), (3, 2, 31, 17), {"padding": (15, 8)}),
    ((1, 2, 60, 60), (2, 1, 9, 8), {"groups": 2, "padding": 4, "stride": (3, 2), "dilation": (2, 1)}),
    ((1, 4, 150, 140), (4, 4, 3, 3), {"padding": 1}),
    ((2, 4, 111, 140), (4, 2, 3, 5), {"groups": 2, "padding": (1, 2), "stride": (2, 1)}),
    ((3, 2, 130, 150), (3, 2, 1, 1), {"stride": 2}),
    ((2, 4, 19), (6, 4, 5), {"stride": 3, "padding": 4, "dilation": 2}),
    ((2, 4, 24), (4, 1, 3), {"groups": 4, "padding": "same"}),
    ((1, 2, 900), (2, 2, 7), {"stride": 3, "padding": 4, "dilation": 2}),
    ((1, 2, 200), (2, 2, 61), {"padding": "same"}),
]
TILED = [(1, 4, 150, 140), (2, 4, 111, 140), (3, 2, 130, 150), (1, 2, 900)]
PADDED = [
    {"kernel_size": 3, "padding": 1, "padding_mode": "circular"},
    {"kernel_size": (3, 5), "padding": "same", "dilation": 2, "padding_mode": "reflect"},
    {"kernel_size": 4, "padding": (2, 1), "padding_mode": "replicate", "stride": 2},
    {"kernel_size": 2, "padding": 1, "groups": 2, "bias": False},
]


def conv(filters):
    return F.conv2d if filters.dim() == 4 else F.conv1d


def numbers(*shape, seed=0, **options):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64, **options)


def parts(case, dtype=torch.float64):
    shape, filters, arguments = case
    tensors = (numbers(*shape), numbers(*filters, seed=1), numbers(filters[0], seed=2))
    return [t.to(dtype).requires_grad_() for t in tensors], arguments


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_whole_spectrum_is_torchs_convolution_with_its_gradients(case):
    (x, w, b), arguments = parts(case)
    theirs, ours = conv(w)(x, w, b, **arguments), fft_convolution(x, w, b, **arguments)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10 * theirs.abs().max().item())
    g = numbers(*theirs.shape, seed=3)
    gradients = (torch.autograd.grad(y, (x, w, b), g) for y in (ours, theirs))
    for got, truth in zip(*gradients, strict=True):
        torch.testing.assert_close(got, truth, rtol=1e-10, atol=1e-10 * truth.abs().max().item())
    (x, w, b), _ = parts(case, torch.float32)
    theirs, ours = conv(w)(x.double(), w.double(), b.double(), **arguments), fft_convolution(x, w, b, **arguments)
    assert ours.dtype == torch.float32
    assert (ours - theirs).abs().max() <= 1e-4 * theirs.abs().max()
    torch.testing.assert_close(
        fft_convolution(x[0], w, b, **arguments), ours[0], rtol=1e-4, atol=1e-4
    )  # without a batch


@pytest.mark.parametrize("case", CASES, ids=str)
def test_large_maps_are_cut_into_tiles(case):
    shape, filters, arguments = case
    sides = geometry(shape, filters, **arguments)
    assert (tiling(sides, shape[0], shape[1], filters[0], arguments.get("groups", 1)) is not None) == (shape in TILED)


def masked(x, w, mask, arguments):
    """The published steps with whole spectra in numpy: pad, transform, mask both, multiply, invert, take the wanted samples."""
    (x, w), dims = (x.detach().numpy(), w.detach().numpy()), w.dim() - 2
    sides = geometry(x.shape, w.shape, **arguments)
    size, axes = tuple(side.circle for side in sides), tuple(range(2, 2 + dims))
    filters = np.zeros(w.shape[:2] + size)
    for taps in np.ndindex(*w.shape[2:]):
        at = tuple((s.dilation * j - s.before) % n for s, j, n in zip(sides, taps, size, strict=True))
        filters[(..., *at)] += w[(..., *taps)]
    groups = arguments.get("groups", 1)
    spectra = [np.fft.rfftn(v, size, axes) * mask for v in (x, filters)]
    spectra[0] = spectra[0].reshape(len(x), groups, -1, *mask.shape)
    spectra[1] = spectra[1].reshape(groups, -1, w.shape[1], *mask.shape)
    y = np.einsum("ngi...,goi...->ngo...", spectra[0], spectra[1].conj()).reshape(len(x), len(w), *mask.shape)
    y = np.fft.irfftn(y, size, axes)
    for axis, side in zip(axes, sides, strict=True):
        y = y.take(np.arange(side.outputs) * side.stride % side.circle, axis)
    return torch.from_numpy(y)


@pytest.mark.parametrize("inverse", [False, True], ids=["low", "high"])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_band_is_the_masked_spectrum(case, mask, inverse):
    (x, w, _), arguments = parts(case)
    size = tuple(side.circle for side in geometry(x.shape, w.shape, **arguments))
    for compression in (0.3, 0.8):
        truth = masked(x, w, spectrum_mask(size, compression, mask, inverse).numpy(), arguments)
        ours = fft_convolution(x, w, compression=compression, mask=mask, inverse=inverse, **arguments)
        torch.testing.assert_close(ours, truth, rtol=1e-9, atol=1e-10)


def test_grids_are_the_map_its_zeros_and_no_awkward_factor():
    assert [side.circle for side in geometry((1, 1, 64, 32), (1, 1, 31, 3), padding=(15, 1))] == [80, 35]
    truth = sorted(2**a * 3**b * 5**c * 7**d for a in range(8) for b in range(6) for c in range(4) for d in range(4))
    for n in range(1, 130):
        assert fast_size(n) == next(s for s in truth if s >= n)


LIMITS = [
    {},
    {"compression": 0.5},
    {"compression": 0.6, "mask": "radial"},
    {"compression": 0.4, "mask": "hyperbolic", "inverse": True},
    {"compression": 0.3, "mask": "triangle"},
    {"output_size": 2},
]


@pytest.mark.parametrize("limits", LIMITS, ids=str)
@pytest.mark.parametrize("case", [CASES[0], CASES[1], CASES[2], CASES[13], CASES[14]], ids=str)
def test_gradients_are_exact(case, limits):
    (x, w, b), arguments = parts(case)
    if "output_size" in limits:
        arguments = arguments | {"stride": 1}
    assert torch.autograd.gradcheck(
        lambda *t: fft_convolution(*t, **arguments, **limits), (x[:1], w, b), fast_mode=True
    )


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize(
    "limits", [{"compression": 0.0}, {"compression": 0.6}, {"compression": 0.6, "inverse": True}], ids=str
)
def test_gradients_through_the_fast_transform_are_exact(limits, mask, monkeypatch):
    monkeypatch.setattr(partial_dft, "fast_is_cheaper", lambda rows, columns: True)
    for case in (CASES[1], CASES[2], CASES[13]):
        (x, w, b), arguments = parts(case)
        assert torch.autograd.gradcheck(
            lambda *t, a=arguments: fft_convolution(*t, **a, **limits, mask=mask), (x, w, b), fast_mode=True
        )


def test_energy_keeps_as_few_frequencies_as_hold_it_and_passes_exact_gradients():
    x, w = numbers(3, 2, 12, 15), numbers(2, 2, 3, 3, seed=1)
    power = (torch.fft.fft2(x).abs() ** 2).sum((0, 1))
    v = (torch.fft.fftfreq(12, dtype=torch.float64) * 12).abs()[:, None].expand(12, 15)
    u = (torch.fft.fftfreq(15, dtype=torch.float64) * 15).abs().expand(12, 15)
    order = torch.maximum(v / 12, u / 15)
    for energy in (0.2, 0.5, 0.9):
        level = min(level for level in order.unique() if power[order <= level + 1e-9].sum() >= energy * power.sum())
        truth = masked(x, w, (order <= level + 1e-9)[:, :8].numpy(), {})
        torch.testing.assert_close(fft_convolution(x, w, energy=energy), truth)
    torch.testing.assert_close(fft_convolution(x, w, energy=1), F.conv2d(x, w))
    assert torch.autograd.gradcheck(
        lambda x, w: fft_convolution(x, w, energy=0.6), (x.requires_grad_(), w.requires_grad_()), fast_mode=True
    )


def test_energy_depends_on_the_batch():
    smooth, rough = torch.ones(1, 1, 20, 20) + 0.01 * torch.rand(1, 1, 20, 20), torch.randn(1, 1, 20, 20)
    layer = BandLimitedConv2d(1, 1, 3, energy=0.9)
    kept = []
    for x in (smooth, rough):
        with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.shape[1]) or t, lambda t: t):
            layer(x)
    assert kept[0] == 1 and kept[-1] > 50  # the mean alone; most of noise


def test_spectral_pooling_is_the_low_part_of_the_spectrum_at_fewer_samples():
    x, w = numbers(2, 2, 16, 15), numbers(3, 2, 1, 1, seed=1)
    y = F.conv2d(x, w)
    for size in ((6, 5), (7, 15), (1, 1), (16, 3)):
        spectrum, truth = np.fft.fft2(y.numpy()), 0
        for v in range(-8, 8):
            for u in range(-7, 8):
                inside = [abs(f) * 2 < m or m == n for f, m, n in zip((v, u), size, (16, 15), strict=True)]
                if all(inside):
                    wave = np.exp(2j * np.pi * v * np.arange(size[0]) / size[0])[:, None]
                    wave = wave * np.exp(2j * np.pi * u * np.arange(size[1]) / size[1])
                    truth = truth + spectrum[..., v, u, None, None] * wave / (16 * 15)
        ours = fft_convolution(x, w, output_size=size)
        torch.testing.assert_close(ours, torch.from_numpy(truth.real))
        assert ours.shape[2:] == size
    filters = numbers(3, 2, 3, 3, seed=2)
    torch.testing.assert_close(fft_convolution(x, filters, output_size=(14, 13)), F.conv2d(x, filters))


def test_tones_are_kept_or_killed():
    n = torch.arange(32, dtype=torch.float64)
    tones = {cycles: torch.cos(2 * torch.pi * cycles * n / 32 + 0.3).expand(1, 1, 32, 32) for cycles in (3, 14)}
    w = numbers(1, 1, 3, 3)
    for inverse, cycles in ((False, 3), (True, 14)):
        limits = {"compression": 0.5, "inverse": inverse}
        passed = fft_convolution(tones[cycles], w, **limits)
        torch.testing.assert_close(passed, F.conv2d(tones[cycles], w))
        # a tone of a row lies in the row v = 0, which the high pass keeps above the square's side
        killed = fft_convolution(tones[17 - cycles], w, **limits)
        assert killed.abs().max() < 1e-12


def test_the_published_example_of_a_correlation():
    x, w = torch.tensor([[[2.0, 1.0, 2.0, 3.0]]]), torch.tensor([[[1.0, 2.0]]])
    torch.testing.assert_close(fft_convolution(x, w), torch.tensor([[[4.0, 5.0, 8.0]]]))


def saved_bytes(run):
    sizes = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: sizes.append(t.numel() * t.element_size()) or t, lambda t: t
    ):
        run()
    return sum(sizes)


@pytest.mark.parametrize("mask", MASKS)
def test_what_is_saved_is_what_is_kept(mask):
    x, w = torch.randn(4, 8, 32, 32, requires_grad=True), torch.randn(8, 8, 9, 9, requires_grad=True)
    whole = saved_bytes(lambda: fft_convolution(x, w, padding=4))
    assert whole == 2 * 4 * 36 * 19 * (4 * 8 + 8 * 8)  # two spectra of 36 x 36, half of each, complex64
    for compression in (0.5, 0.75, 0.9):
        count = int(spectrum_mask((36, 36), compression, mask).sum())
        saved = saved_bytes(lambda c=compression: fft_convolution(x, w, padding=4, compression=c, mask=mask))
        assert saved == 2 * 4 * count * (4 * 8 + 8 * 8)
        assert saved < whole * (1 - compression) * 1.25  # the column u = 0 is one of few, and its halves are both kept
    frozen = w.detach()
    assert saved_bytes(lambda: fft_convolution(x, frozen, padding=4)) == 2 * 4 * 36 * 19 * 8 * 8
    with torch.no_grad():
        assert saved_bytes(lambda: fft_convolution(x, w, padding=4)) == 0
    with torch.inference_mode():
        assert saved_bytes(lambda: fft_convolution(x, w, padding=4)) == 0


@pytest.mark.parametrize("arguments", PADDED, ids=str)
@pytest.mark.parametrize(("ours", "theirs"), [(BandLimitedConv1d, nn.Conv1d), (BandLimitedConv2d, nn.Conv2d)])
def test_layers_are_torchs_with_the_same_state(ours, theirs, arguments):
    if theirs is nn.Conv1d:
        arguments = {k: v[0] if isinstance(v, tuple) else v for k, v in arguments.items()}
    torch.manual_seed(0)
    layer = theirs(4, 6, **arguments, dtype=torch.float64)
    torch.manual_seed(0)
    band = ours(4, 6, **arguments, dtype=torch.float64)
    x = numbers(2, 4, 13, 17)[..., : 17 if theirs is nn.Conv2d else 1].flatten(2 if theirs is nn.Conv1d else 4 - 1)
    x = x if theirs is nn.Conv1d else x.view(2, 4, 13, 17)
    torch.testing.assert_close(band(x), layer(x))  # the same initial weights from the same seed
    torch.testing.assert_close(band(x[0]), layer(x)[0])
    fresh = ours(4, 6, **arguments, dtype=torch.float64)
    fresh.load_state_dict(layer.state_dict())
    torch.testing.assert_close(fresh(x), layer(x))
    layer.load_state_dict(fresh.state_dict())
    assert list(layer.state_dict()) == list(fresh.state_dict())
    assert fresh.to_conv().weight is fresh.weight and type(fresh.to_conv()) is theirs
    taken = ours.from_conv(layer.eval(), compression=0.5)
    assert taken.weight is layer.weight and taken.bias is layer.bias and not taken.training
    band.compression = 0.5
    truth = fft_convolution(
        F.pad(x, layer._reversed_padding_repeated_twice, layer.padding_mode) if layer.padding_mode != "zeros" else x,
        band.weight, band.bias, layer.stride, 0 if layer.padding_mode != "zeros" else layer.padding, layer.dilation,
        layer.groups, 0.5,
    )  # fmt: skip
    torch.testing.assert_close(band(x), truth)
    assert (band(x) - layer(x)).abs().max() > 1e-3


def test_layers_say_their_limits_and_keep_them():
    layer = BandLimitedConv2d(2, 4, 3, compression=0.5, mask="radial", inverse=True)
    assert "compression=0.5, mask=radial, inverse=True" in repr(layer)
    layer.compression = 0.8
    assert "compression=0.8, mask=radial" in repr(layer) and layer.mask == "radial" and layer.inverse
    file, x = io.BytesIO(), torch.randn(1, 2, 9, 9)
    torch.save(layer, file)
    file.seek(0)
    for again in (copy.deepcopy(layer), torch.load(file, weights_only=False)):
        torch.testing.assert_close(again(x), layer(x))
        assert again.compression == 0.8
    layer.limit(energy=0.7, mask="square", inverse=False)
    assert layer.compression == 0 and layer.energy == 0.7 and repr(layer).endswith("stride=(1, 1), energy=0.7)")
    assert BandLimitedConv1d(2, 4, 3, output_size=5)(torch.randn(1, 2, 20)).shape == (1, 4, 5)
    assert BandLimitedConv2d(2, 4, 3, output_size=5).output_size == (5, 5)
    assert layer.to("meta")(x.to("meta")).shape == (1, 4, 7, 7)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    torch.manual_seed(0)
    layer = BandLimitedConv2d(8, 8, 7, padding=3, dtype=dtype)
    x = torch.randn(2, 8, 16, 16).to(dtype).requires_grad_()
    truth = F.conv2d(x.detach().double(), layer.weight.double(), layer.bias.double(), padding=3)
    y = layer(x)
    assert y.dtype == dtype
    step = torch.finfo(dtype).eps
    assert (y - truth).abs().max() <= step * truth.abs().max()  # one rounding, at the end
    y.sum().backward()
    assert x.grad.dtype == layer.weight.grad.dtype == dtype


def test_autocast_chooses_the_dtype_of_the_result_alone():
    torch.manual_seed(0)
    layer, x = BandLimitedConv2d(8, 8, 7, padding=3, compression=0.5), torch.randn(2, 8, 16, 16, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
        y.float().sum().backward()
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y, layer(x).bfloat16())
    under, x.grad = x.grad, None
    layer(x).sum().backward()
    torch.testing.assert_close(under, x.grad)


@pytest.mark.parametrize("limits", [{}, {"compression": 0.5, "mask": "radial"}], ids=str)
def test_it_compiles_and_exports(limits):
    torch.manual_seed(0)
    layer, x = BandLimitedConv2d(4, 6, 3, padding=1, **limits), torch.randn(2, 4, 12, 29, requires_grad=True)
    y, compiled = layer(x), torch.compile(layer, backend="aot_eager")
    torch.testing.assert_close(compiled(x), y)
    (g,) = torch.autograd.grad(compiled(x).square().sum(), x)
    torch.testing.assert_close(g, torch.autograd.grad(y.square().sum(), x)[0])
    exported = torch.export.export(layer, (x.detach(),)).module()
    torch.testing.assert_close(exported(x), y, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("limits", [{}, {"compression": 0.5}, {"energy": 0.9}, {"output_size": 3}], ids=str)
def test_of_no_maps_there_are_no_results(limits):
    x, w = torch.zeros(0, 3, 9, 8, requires_grad=True), torch.randn(4, 3, 3, 3, requires_grad=True)
    y = fft_convolution(x, w, **limits)
    assert y.shape == (0, 4, *((3, 3) if "output_size" in limits else (7, 6)))
    y.sum().backward()
    assert x.grad.shape == x.shape and not w.grad.any()


def test_operands_that_do_not_go_together_are_refused():
    x, w = torch.randn(1, 3, 9, 8), torch.randn(4, 3, 3, 3)
    for operands, said in (
        ((x > 0, w > 0), "real floating-point"),
        ((x.to(torch.complex64), w.to(torch.complex64)), "real floating-point"),
        ((x.int(), w.int()), "real floating-point"),
        ((x, w.double()), "of one type"),
        ((x, w, torch.zeros(3)), "each of 4 outputs"),
        ((x, w, torch.zeros(1)), "each of 4 outputs"),
    ):
        with pytest.raises(ValueError, match=said):
            fft_convolution(*operands)


@pytest.mark.parametrize("broken", (math.nan, math.inf))
def test_maps_that_are_no_numbers_pass_with_a_share_of_energy(broken):
    x = torch.full((1, 1, 8, 8), broken)
    assert fft_convolution(x, torch.ones(1, 1, 3, 3), energy=0.5).isnan().all()


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")  # torch's own forward mode
@pytest.mark.parametrize("limits", [{}, {"compression": 0.5}, {"output_size": 6}], ids=str)
def test_functions_of_torch_func_see_the_same_function(limits):
    x, w, v = numbers(3, 2, 20, 18), numbers(4, 2, 3, 3, seed=1), numbers(3, 2, 20, 18, seed=2)

    def total(x):
        return fft_convolution(x, w, **limits).pow(3).sum()

    x.requires_grad_()
    (g,) = torch.autograd.grad(total(x), x)
    x = x.detach()
    torch.testing.assert_close(torch.func.grad(total)(x), g)
    torch.testing.assert_close(torch.func.jvp(total, (x,), (v,))[1], (g * v).sum())
    each = torch.func.vmap(lambda picture: fft_convolution(picture, w, **limits))(x)
    torch.testing.assert_close(each, fft_convolution(x, w, **limits))


def test_what_is_really_dropped_is_told():
    for arguments in (
        {"padding": 2, "compression": 0.4},
        {"padding": 1, "padding_mode": "circular", "compression": 0.6},
    ):
        layer = BandLimitedConv2d(2, 3, 5, stride=(1, 2), **arguments)
        sides = [11, 13] if "padding_mode" not in arguments else [11 + 2, 13 + 2]
        circle = tuple(fast_size(side + (2 if "padding_mode" not in arguments else 0)) for side in sides)
        mask = spectrum_mask(circle, layer.compression)
        assert layer.dropped(11, 13) == dropped_fraction(mask, circle) > 0
    assert BandLimitedConv1d(1, 1, 3).dropped(100) == 0
    with pytest.raises(ValueError, match="given maps alone"):
        BandLimitedConv1d(1, 1, 3, energy=0.5).dropped(100)


def test_layers_of_another_kind_or_with_computed_weights_are_refused():
    pruned = prune.l1_unstructured(nn.Conv2d(3, 4, 3), "weight", 0.5)
    for layer, said in (
        (nn.ConvTranspose2d(3, 4, 3), "ConvTranspose2d"),
        (nn.Linear(3, 4), "Linear"),
        (pruned, "prune.remove"),
    ):
        with pytest.raises(ValueError, match=said):
            BandLimitedConv2d.from_conv(layer)


def test_a_rate_does_not_undo_an_output_size():
    model = nn.Sequential(BandLimitedConv2d(1, 1, 3, output_size=4), BandLimitedConv2d(1, 1, 3, energy=0.5))
    with pytest.raises(ValueError, match="output_size"):
        set_compression(model, 0.5)
    assert model[0].output_size == (4, 4) and model[1].energy == 0.5
    assert set_compression(model, {"1": 0.25})[1].energy is None


def test_a_share_of_energy_cannot_be_recorded_and_says_so():
    layer, x = BandLimitedConv2d(2, 3, 3, energy=0.9).eval(), torch.randn(1, 2, 16, 16)
    with pytest.raises(ValueError, match="set a compression first"):
        torch.func.vmap(layer)(x[None])
    for record in (torch.export.export, torch.jit.trace):
        with pytest.raises(ValueError, match="set a compression first"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # jit.trace is out of favour
            record(layer, (x,))
    torch.testing.assert_close(torch.compile(layer, backend="aot_eager")(x), layer(x))


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore:.*torch.jit:FutureWarning")
@pytest.mark.parametrize("limits", ({}, {"compression": 0.5}, {"output_size": 7}), ids=str)
def test_traces_compute_the_same(limits):
    layer, x = BandLimitedConv2d(2, 3, 3, **limits).eval(), torch.randn(1, 2, 16, 16)
    torch.testing.assert_close(torch.jit.trace(layer, (x,))(x), layer(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("fast", (False, True), ids=("matrices", "fast transform"))
@pytest.mark.parametrize("limits", LIMITS, ids=str)
def test_gradients_of_gradients_are_exact(limits, fast, monkeypatch):
    if fast and "output_size" not in limits:  # whose steps are not whole
        monkeypatch.setattr(partial_dft, "fast_is_cheaper", lambda rows, columns: True)
    for case in (CASES[1], CASES[2], CASES[13]):
        (x, w, _), arguments = parts(case)
        if "output_size" in limits:
            arguments = arguments | {"stride": 1}
        assert torch.autograd.gradgradcheck(
            lambda x, w, a=arguments: fft_convolution(x, w, **a, **limits), (x[:1], w), fast_mode=True
        )


def test_the_product_of_a_hessian_and_a_vector_is_that_of_torch():
    x, v = numbers(2, 3, 40, 30, requires_grad=True), numbers(2, 3, 40, 30, seed=2)  # in tiles
    w = numbers(4, 3, 5, 5, seed=1, requires_grad=True)
    products = []
    for convolve in (F.conv2d, fft_convolution):
        (g,) = torch.autograd.grad(convolve(x, w).pow(3).sum(), x, create_graph=True)
        products.append(torch.autograd.grad((g * v).sum(), (x, w)))
    torch.testing.assert_close(*products)


@pytest.mark.parametrize("taps", (3, 9))
def test_gradients_pass_through_a_checkpoint(taps):
    x, w = numbers(1, 2, 36, 36, requires_grad=True), numbers(3, 2, taps, taps, requires_grad=True)
    found, true = (
        torch.autograd.grad(convolved.square().sum(), (x, w))
        for convolved in (checkpoint(fft_convolution, x, w, use_reentrant=False), fft_convolution(x, w))
    )
    torch.testing.assert_close(found, true)


def test_one_gradient_alone_saves_what_it_needs_alone():
    spectra = {"maps": 2 * 40 * 21 * 8 * 2, "filters": 2 * 40 * 21 * 3 * 2}  # numbers
    for taps, needs, saved in (
        (9, (True, False), [spectra["filters"]]),
        (9, (False, True), [spectra["maps"]]),
        (9, (True, True), [spectra["maps"], spectra["filters"]]),
        (7, (True, False), [3 * 2 * 7 * 7]),  # small filters themselves, for their spectra are computed again
        (7, (False, True), [spectra["maps"]]),
    ):
        x, w = numbers(8, 2, 36, 36, requires_grad=needs[0]), numbers(3, 2, taps, taps, requires_grad=needs[1])
        kept = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t, k=kept: k.append(t.numel()) or t, lambda t: t):
            y = fft_convolution(x, w, padding=4, compression=0)
        y.sum().backward()
        assert kept == saved


def test_fast_and_matrix_transforms_agree():
    for n, m, start, step in ((8, 12, 0, 1), (9, 7, -1, 2), (1, 10, 0, 1), (20, 21, -3, 3)):
        rows = fast_dft.Side(n, n // 3, min(n, 4), start if n > 1 else 0, step)
        columns = fast_dft.Side(m, m // 2, min(m, 5), start, step, weighted=True)
        x = numbers(2, 3, rows.count, columns.count)
        torch.testing.assert_close(fast_dft.spectra(x, rows, columns), partial_dft.spectra(x, rows, columns))
        whole = [side._replace(reach=side.n // 2) for side in (rows, columns)]
        for pair in ((rows, columns), whole):
            real = fast_dft.spectra(
                numbers(2, 3, rows.n, columns.n), *(s._replace(start=0, step=1, count=s.n) for s in pair)
            )
            torch.testing.assert_close(fast_dft.samples(real, *pair), partial_dft.samples(real, *pair))


WRONG = [
    ({"compression": 1}, "compression is a number in"),
    ({"energy": 0}, "energy is"),
    ({"mask": "circle"}, "mask is one of"),
    ({"compression": 0.5, "energy": 0.5}, "one of compression, energy and output_size"),
    ({"output_size": 9}, "output_size is at most what there would be"),
    ({"output_size": 2, "stride": 2}, "takes the place of the stride"),
    ({"output_size": 2, "mask": "radial"}, "output_size keeps the low square"),
    ({"stride": 0}, "stride is"),
    ({"padding": "full"}, "padding is numbers, 'valid'"),
    ({"padding": "same", "stride": 2}, "at stride 1, 'same'"),
    ({"groups": 2}, "in 2 groups read 4 channels"),
    ({"dilation": 5}, "a filter fits into the padded map"),
    ({"padding": (1, 2, 3)}, "padding is"),
]


@pytest.mark.parametrize(("wrong", "message"), WRONG, ids=str)
def test_wrong_arguments_are_refused(wrong, message):
    x, w = torch.zeros(1, 2, 8, 8), torch.zeros(4, 2, 3, 3)
    with pytest.raises(ValueError, match=message):
        fft_convolution(x, w, **wrong)


def test_shapes_that_are_no_maps_are_refused():
    with pytest.raises(ValueError, match=r"maps are \(n, c, h, w\)"):
        fft_convolution(torch.zeros(2, 8), torch.zeros(4, 2, 3, 3))


def test_rates_of_a_network_are_set_by_name():
    model = nn.Sequential(BandLimitedConv2d(1, 2, 3), nn.Sequential(nn.ReLU(), BandLimitedConv2d(2, 2, 3)))
    assert set_compression(model, 0.3) is model and model[0].compression == model[1][1].compression == 0.3
    set_compression(model, {"1.1": 0.6})
    assert (model[0].compression, model[1][1].compression) == (0.3, 0.6)
    for wrong, message in (
        ({"1.2": 0.5}, "no layer '1.2' is a band-limited convolution; close to it are: '1.1'"),
        ({"0": 0.5, "1.1": 2}, "compression is"),
        ({}, "has no band-limited convolution"),
    ):
        with pytest.raises(ValueError, match=message):
            set_compression(model, wrong)
    assert (model[0].compression, model[1][1].compression) == (0.3, 0.6)
    with pytest.raises(ValueError, match="has no band-limited convolution"):
        set_compression(nn.ReLU(), 0.5)
