"""The compiled loops against scipy's DCT and torch's interpolation in float64; as torch functions: gradients, vmap, threads."""

import numpy as np
import pytest
import torch
from scipy.fft import dctn, idctn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

from dctnet.coefficients import Coefficients, grid_420
from dctnet.dct import block_dct, block_idct
from dctnet.kernels import _native
from dctnet.transforms import CenterCrop, Compose, Normalize, RandomHorizontalFlip
from dctnet.transforms.affine import inverse_matrix, warp
from dctnet.transforms.separable import lifted
from dctnet.transforms.steps import Drawn, Placed, Turned

BLOCKS = (2, 4, 8, 16, 32)


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("b", BLOCKS)
def test_blocks_are_those_of_scipy(b):
    samples = random(2, 3, 3 * b, 5 * b) * 60
    blocks = samples.double().unflatten(-1, (5, b)).unflatten(-3, (3, b)).transpose(-3, -2)
    truth = torch.from_numpy(dctn(blocks.numpy(), axes=(-2, -1), norm="ortho"))
    plane = block_dct(samples, b)
    assert plane.shape == (2, 3, b * b, 3, 5)
    assert (plane.movedim(-3, -1) - truth.flatten(-2)).abs().max() < 2e-4
    back = (
        torch.from_numpy(idctn(truth.numpy(), axes=(-2, -1), norm="ortho"))
        .transpose(-3, -2)
        .flatten(-2)
        .flatten(-3, -2)
    )
    assert (block_idct(truth.float().flatten(-2).movedim(-1, -3)) - back).abs().max() < 2e-4


@pytest.mark.parametrize("threads", [1, 3])
def test_any_strides_and_threads_give_the_same(threads):
    plane = random(3, 64, 6, 7)  # channels first in memory, unlike what a decoder writes
    samples = block_idct(plane.double()).float()
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        torch.testing.assert_close(block_idct(plane), samples, rtol=0, atol=1e-5)
        torch.testing.assert_close(
            block_dct(samples.mT, 8), block_dct(samples.mT.double(), 8).float(), rtol=0, atol=1e-5
        )
        torch.testing.assert_close(block_dct(samples[..., 8:40], 8), plane[..., 1:5], rtol=0, atol=1e-5)
    finally:
        torch.set_num_threads(before)


def test_planes_without_blocks_are_empty():
    assert block_dct(torch.zeros(0, 16, 16), 8).shape == (0, 64, 2, 2)
    assert block_idct(torch.zeros(2, 64, 0, 3)).shape == (2, 0, 24)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:FutureWarning")  # torch's own, of forward mode
@pytest.mark.parametrize(("function", "shape"), [(block_dct, (2, 16, 24)), (block_idct, (2, 64, 2, 3))])
def test_all_that_torch_asks_of_a_linear_function(function, shape):
    x, direction = random(*shape), random(*shape, seed=1)
    truth = function(direction.double()).float()
    close = {"rtol": 0, "atol": 2e-5}
    # Backward, twice: of |f(x)|^2 / 2 with orthonormal f the gradient is x, and that of its product with d is d.
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(function(leaf).square().sum() / 2, leaf, create_graph=True)
    torch.testing.assert_close(gradient, x, **close)
    torch.testing.assert_close(torch.autograd.grad((gradient * direction).sum(), leaf)[0], direction, **close)
    # Forward, by both interfaces.
    torch.testing.assert_close(torch.func.jvp(function, (x,), (direction,))[1], truth, **close)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, direction)
        torch.testing.assert_close(torch.autograd.forward_ad.unpack_dual(function(dual)).tangent, truth, **close)
    # One by one along any axis.
    stacked = torch.stack([x, direction], -1)
    torch.testing.assert_close(
        torch.func.vmap(function, -1)(stacked), torch.stack([function(x), function(direction)]), **close
    )
    loss = lambda x: function(x).square().sum() / 2  # noqa: E731
    torch.testing.assert_close(torch.func.vmap(torch.func.grad(loss))(stacked.movedim(-1, 0))[1], direction, **close)
    # A gradient that torch negates in name only, as that of what becomes an imaginary part and is conjugated: of |f(x)|^2 / 2.
    values = function(leaf)
    conjugate = torch.complex(torch.zeros_like(values), values).conj()
    (gradient,) = torch.autograd.grad((conjugate * conjugate).real.sum() / -2, leaf, create_graph=True)
    torch.testing.assert_close(gradient, x, **close)
    torch.testing.assert_close(torch.autograd.grad((gradient * direction).sum(), leaf)[0], direction, **close)
    assert not function(x).requires_grad
    with torch.no_grad():
        assert not function(leaf).requires_grad


FUNCTIONS = [(block_dct, (2, 16, 24)), (block_idct, (2, 64, 2, 3))]


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize(("function", "shape"), FUNCTIONS)
def test_what_is_recorded_is_the_function(function, shape):
    """Not the result of the example: a graph of one plane, given another."""
    example, other = random(*shape), random(*shape, seed=1)
    truth = function(other.double()).float()
    graphs = [torch.jit.trace(function, example)]
    graphs += [make_fx(lambda x: function(x), tracing_mode=mode)(example) for mode in ("real", "fake", "symbolic")]
    for graph in graphs:
        torch.testing.assert_close(graph(other), truth, rtol=0, atol=2e-5)


@pytest.mark.parametrize(("function", "shape"), FUNCTIONS)
@pytest.mark.parametrize("b", [8, 16])
def test_fake_planes_have_shapes_and_leave_nothing_behind(function, shape, b):
    shape = tuple(n * b // 8 for n in shape) if function is block_dct else (2, b * b, *shape[2:])
    run = (lambda x: block_dct(x, b)) if function is block_dct else block_idct
    for dtype in (torch.float32, torch.bfloat16):
        x = random(*shape).to(dtype)
        with FakeTensorMode() as mode:
            fake = run(mode.from_tensor(x))
            assert isinstance(run(torch.empty(shape, dtype=dtype)), FakeTensor)
        assert isinstance(fake, FakeTensor) and fake.shape == run(x).shape and fake.dtype == dtype
        assert not isinstance(run(x), FakeTensor)


def by_grid_sample(plane: torch.Tensor, m: np.ndarray, size: tuple[int, int], fill: float) -> torch.Tensor:
    """What ``warp_row`` computes, in float64 by torch: a plane (H, W) through a map of sample indices."""
    y, x = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in size), indexing="ij")
    at = torch.stack([m[0] * x + m[1] * y + m[2], m[3] * x + m[4] * y + m[5]], -1)
    rows, columns = plane.shape
    at = (2 * at + 1) / torch.tensor([columns, rows]) - 1
    at = at.nan_to_num(1e6).clamp(-1e6, 1e6)  # grid_sample makes whole numbers of them; what is no place lies outside
    shifted = torch.nn.functional.grid_sample((plane.double() - fill)[None, None], at[None], align_corners=False)
    return shifted[0, 0] + fill


def test_random_maps_are_those_of_grid_sample():
    generator = np.random.default_rng(0)
    for case in range(400):
        rows, columns, height, width = (int(generator.integers(1, n)) for n in (60, 60, 40, 70))
        rows, columns = (1 if generator.random() < 0.1 else n for n in (rows, columns))
        plane = (100 * generator.standard_normal((rows, columns))).astype(np.float32)
        strength = 10.0 ** generator.uniform(-3, 1.5)
        m = np.array([1, 0, 0, 0, 1, 0]) * generator.choice([1, 1, -1]) + strength * generator.standard_normal(6)
        m *= generator.choice([1, 1, 1, 0], 6)  # zeros, too
        m[[2, 5]] += generator.uniform(-0.5, 1, 2) * (columns, rows)
        fill, out = np.float32(generator.choice([0, -128, 31.5])), np.full((1, 1, height, width), np.nan, np.float32)
        _native.warp(plane[None, None], m[None], out, np.array([fill]), 1 + case % 2)
        truth = by_grid_sample(torch.from_numpy(plane), m, (height, width), float(fill)).numpy()
        assert np.abs(out[0, 0] - truth).max() < 4e-3, m  # places as float32 has them


@pytest.mark.parametrize("wild", [1e300, -1e300, np.inf, np.nan, 1e9, 2.0**31, 2.0**63])
def test_no_map_reads_beyond_the_plane(wild):
    plane = random(1, 1, 5, 6).abs().clamp(max=1).numpy() + 1
    for place in range(6):
        m, out = np.array([[1.0, 0, 0, 0, 1, 0]]), np.full((1, 1, 9, 40), np.nan, np.float32)
        m[0, place] = wild
        _native.warp(plane, m, out, np.zeros(1, np.float32), 1)
        truth = by_grid_sample(torch.from_numpy(plane[0, 0]), m[0], (9, 40), 0.0).numpy()
        np.testing.assert_allclose(out[0, 0], truth, rtol=0, atol=1e-5)


@pytest.mark.parametrize("columns", [1 << 14, (1 << 14) + 1, 1 << 16])
def test_long_rows_keep_their_places(columns):
    """Steps of many samples, which floats round most, over planes that the fast loop takes and longer ones."""
    plane = 1 + np.random.default_rng(0).random((3, columns), np.float32)
    for step in (-columns / 17.3, -1.01, 3.7, columns / 15.9):
        m, out = (
            np.array([step, 0.1, 0 if step > 0 else columns - 1, 0.001, 0.9, 0]),
            np.empty((1, 1, 3, 90), np.float32),
        )
        _native.warp(plane[None, None], m[None], out, np.zeros(1, np.float32), 1)
        truth = by_grid_sample(torch.from_numpy(plane), m, (3, 90), 0.0).numpy()
        assert np.abs(out[0, 0] - truth).max() < 4e-3  # places off by 0.003 samples, of a slope up to 1


def test_whole_moves_are_exact():
    plane, out = np.arange(48, dtype=np.float32).reshape(1, 1, 6, 8), np.empty((1, 1, 6, 8), np.float32)
    _native.warp(plane, np.array([[1.0, 0, 2, 0, 1, -1]]), out, np.array([-5.0], np.float32), 1)
    truth = np.full((6, 8), -5.0)
    truth[1:, :6] = plane[0, 0, :5, 2:]
    np.testing.assert_array_equal(out[0, 0], truth)


def test_the_loop_and_torch_warp_alike():
    size, to = (37, 50), (41, 33)
    samples = Coefficients(*(random(2, 1, *s, seed=i) * 50 for i, s in enumerate(((37, 50), (19, 25), (19, 25)))))
    matrix = torch.tensor(
        [inverse_matrix(20, (3, -2), 1.2, (5, 9), (4, 1)), inverse_matrix(-140, (0, 0), 0.6, (0, 0), (0, 0))]
    )
    fill = (-128.0, 3.0, 7.5)
    loop, truth = (
        warp(samples, matrix, size, to, fill),
        warp(samples.to(torch.float64), matrix.double(), size, to, fill),
    )
    for ours, theirs in zip(loop, truth, strict=True):
        assert ours.dtype == torch.float32 and ours.shape == theirs.shape
        assert (ours - theirs).abs().max() < 1e-3
    tracked = samples.map(lambda plane: plane.clone().requires_grad_())
    warp(tracked, matrix, size, to, fill).y.sum().backward()
    assert tracked.y.grad is not None and tracked.y.grad.abs().sum() > 0


def random_banded(generator: np.random.Generator, inputs: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Starts, weights, and the dense matrix."""
    rows, taps = int(generator.integers(1, 40)), int(generator.integers(1, min(inputs, 6) + 1))
    start = generator.integers(0, inputs - taps + 1, rows)
    weights = generator.standard_normal((rows, taps)).astype(np.float32)
    dense = np.zeros((rows, inputs))
    for row in range(rows):
        dense[row, start[row] : start[row] + taps] = weights[row]
    return start, weights, dense


@pytest.mark.parametrize("threads", [1, 2])
def test_banded_operators_are_matrices(threads):
    generator = np.random.default_rng(1)
    for _ in range(60):
        count, height, width = (int(generator.integers(1, n)) for n in (4, 50, 70))
        planes = generator.standard_normal((count, height, width)).astype(np.float32)
        (*vertical, down), (*horizontal, across) = (random_banded(generator, n) for n in (height, width))
        made = np.full((count, len(down), len(across)), np.nan, np.float32)
        _native.separable(planes, *vertical, *horizontal, made, threads)
        np.testing.assert_allclose(made, down @ planes.astype(np.float64) @ across.T, rtol=0, atol=2e-4)


def band(rows: int, taps: int, at: int = 0) -> tuple[np.ndarray, np.ndarray]:
    return np.full(rows, at, np.int64), np.zeros((rows, taps), np.float32)


@pytest.mark.parametrize(
    "step", [Drawn(3, 5, 20, 30, (24, 18), mirror=True), Turned(1, (37, 47)), Placed(-3, 5, (40, 31), "reflect", None)]
)
@pytest.mark.parametrize("blocks", [(8, 8), (16, 4), (1, 2)])
def test_loops_and_lifted_operators_are_one(step, blocks):
    """In float32 by the loops, in float64 and with gradients by ``dct.lift`` and ``dct.apply``."""
    planes = Coefficients(*(random(64, *size, seed=i) * 40 for i, size in enumerate(((5, 6), (3, 3), (3, 3)))))
    grid = grid_420((37, 47))
    operators = step.on(grid)
    loops, lifting = lifted(planes, operators, blocks), lifted(planes.to(torch.float64), operators, blocks)
    tracked = lifted(planes.map(lambda plane: plane.clone().requires_grad_()), operators, blocks)
    for fast, exact, slow in zip(loops, lifting, tracked, strict=True):
        assert slow.requires_grad and not fast.requires_grad and fast.dtype == slow.dtype == torch.float32
        torch.testing.assert_close(fast.double(), exact, rtol=0, atol=5e-4)
        torch.testing.assert_close(slow.detach().double(), exact, rtol=0, atol=5e-4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a: _native.block_dct(a(1, 16, 16), a(1, 2, 2, 63), 8, 1), "samples are"),
        (lambda a: _native.block_dct(a(1, 16, 16), a(1, 2, 3, 64), 8, 1), "samples are"),
        (lambda a: _native.block_idct(a(1, 2, 2, 9), a(1, 6, 6), 3, 1), "samples are"),
        (lambda a: _native.warp(a(1, 1, 4, 4), np.zeros((2, 6)), a(1, 1, 4, 4), a(1), 1), "planes are"),
        (lambda a: _native.separable(a(1, 4, 4), *band(3, 2, at=3), *band(3, 2), a(1, 3, 3), 1), "within the samples"),
        (lambda a: _native.separable(a(1, 4, 4), *band(3, 2), *band(3, 2, at=-1), a(1, 3, 3), 1), "within the samples"),
        (lambda a: _native.separable(a(1, 4, 4), *band(3, 0), *band(3, 2), a(1, 3, 3), 1), "within the samples"),
        (lambda a: _native.separable(a(1, 4, 4), *band(3, 2), *band(3, 2), a(1, 3, 4), 1), "what is made has"),
        (lambda a: _native.warp(a(1, 1, 0, 4), np.zeros((1, 6)), a(1, 1, 4, 4), a(1), 1), "from 1 to"),
    ],
)
def test_arrays_that_do_not_fit(call, message):
    with pytest.raises(ValueError, match=message):
        call(lambda *shape: np.zeros(shape, np.float32))


@pytest.mark.parametrize("blocks", [(8, 8), (4, 2), (1, 1), (16, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_normalize_is_part_of_the_operator_in_front(blocks, dtype, monkeypatch):
    """The values of a chain are those of normalising afterwards, and nothing is normalised afterwards."""
    planes = Coefficients(*(random(64, *size, seed=i) * 40 for i, size in enumerate(((5, 6), (3, 3), (3, 3))))).to(
        dtype
    )
    counts = [blocks[0] ** 2, blocks[1] ** 2, blocks[1] ** 2]
    last = Normalize(*([(random(n, seed=n) ** 2 + low).tolist() for n in counts] for low in (0, 0.5)))
    front = Compose([CenterCrop(40), RandomHorizontalFlip(1.0)], blocks)
    truth = last(front(planes.to(torch.float64)))
    monkeypatch.setattr(Normalize, "apply", None)
    for ours, theirs in zip(Compose([*front.transforms, last], blocks)(planes), truth, strict=True):
        assert ours.dtype == dtype
        torch.testing.assert_close(ours.double(), theirs, rtol=0, atol=1e-3 if dtype == torch.float32 else 1e-11)
