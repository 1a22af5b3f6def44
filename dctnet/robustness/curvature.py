"""First and second derivatives of what a network says with respect to the pixels of one picture.

For a picture x (c, h, w) and a class k, with the logits z(x), p = softmax(z) and J = dz/dx:

    loss              L = -log p_k
    gradient          g = J' (p - e_k)
    Hessian           H = J' (diag(p) - p p') J + sum_j (p_j - [j = k]) d2 z_j / dx2
    product with v    H v = d(g . v) / dx, one more backward pass, and H is never made

The network is any ``nn.Module`` from pixels ``(n, c, h, w)`` in [0, 1] to logits ``(n, classes)``, in eval mode, in which a
picture's logits do not depend on the others of its batch (``compression`` by ``energy`` makes them). All is computed in the
dtype of the pixels, without autocast: ``network.double()`` and pixels of float64 give more digits.

Where a network is piecewise linear, made of convolutions, ReLU, max pooling and normalisation in eval mode, the second
derivatives of its logits are zero wherever they exist. The loss is curved all the same, by the softmax: H is the first term
alone. So it has no negative eigenvalue and at most classes - 1 positive ones, and is the same for each class k. What happens
between the pieces it does not see. Confident networks have p near e_k and with it a small gradient and a small Hessian of the
loss towards k, whatever J is: the gradient of a logit tells one from the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dctnet.arguments import choice, whole
from dctnet.precision import full_precision
from dctnet.robustness.lanczos import MOST_PRODUCTS, outermost_eigenvalues


def _log_probability(logits: Tensor, classes: Tensor) -> Tensor:
    return -F.cross_entropy(logits, classes, reduction="none")


QUANTITIES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "loss": lambda logits, classes: F.cross_entropy(logits, classes, reduction="none"),
    "log_probability": _log_probability,
    "probability": lambda logits, classes: _log_probability(logits, classes).exp(),
    "logit": lambda logits, classes: logits.gather(1, classes[:, None])[:, 0],
}


def input_gradients(
    network: nn.Module, pixels: Tensor, classes: Tensor, of: str = "loss", batch_size: int = 64
) -> tuple[Tensor, Tensor]:
    """Of each picture the value of a quantity towards its class, ``(n,)``, and the gradient with respect to its pixels, as they.

    ``of``: "loss", -log p_k; "log_probability", log p_k; "probability", p_k; or "logit", z_k. ``classes`` (n,) holds the k of
    each picture: those of the original pictures, of the attacked ones, or any other. The units are those of the quantity per
    unit of pixels, so per 255 gray levels. ``batch_size`` pictures are computed at a time.

    ValueError for a network in training mode, for other shapes, for pixels outside [0, 1] or not finite, for classes that the
    network does not have, and for logits that do not depend on the pixels in a way that autograd follows.

    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False)).eval()
    >>> _ = network[1].weight.data.copy_(torch.tensor([[1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 0.0, 0.0]]))
    >>> logit, gradient = input_gradients(network, torch.full((1, 1, 2, 2), 0.5), torch.tensor([0]), of="logit")
    >>> logit.tolist(), gradient.flatten().tolist()
    ([5.0], [1.0, 2.0, 3.0, 4.0])
    """
    quantity = QUANTITIES[choice("of", of, QUANTITIES)]
    batch_size = whole("batch_size", batch_size, 1)
    classes = check(network, pixels, classes)
    values, gradients = torch.zeros(len(pixels), dtype=pixels.dtype, device=pixels.device), torch.zeros_like(pixels)
    for first in range(0, len(pixels), batch_size):
        part = slice(first, first + batch_size)
        with _recording(pixels.device):
            leaf = pixels[part].detach().clone().requires_grad_()
            value = quantity(_logits(network, leaf, classes[part]), classes[part])
            gradient = _gradient(value, leaf)
        values[part], gradients[part] = value.detach(), gradient
    return values, gradients


class Norms(NamedTuple):
    """Norms over all values of a picture, ``(n,)`` of float64: the sum of |g|, the root of the sum of g^2, the greatest |g|."""

    l1: Tensor
    l2: Tensor
    linf: Tensor


def norms(gradients: Tensor) -> Norms:
    """The norms of ``(n, ...)``, one set a picture.

    >>> norms(torch.tensor([[3.0, -4.0]]))
    Norms(l1=tensor([7.], dtype=torch.float64), l2=tensor([5.], dtype=torch.float64), linf=tensor([4.], dtype=torch.float64))
    """
    flat = gradients.double().reshape(len(gradients), -1)
    return Norms(*(torch.linalg.vector_norm(flat, order, 1) for order in (1, 2, torch.inf)))


def loss_hessian(network: nn.Module, pixels: Tensor, labels: Tensor) -> Callable[[Tensor], Tensor]:
    """The function v -> H v, pictures' H each by itself: of ``(n, c, h, w)`` the products, as many and as large.

    The pass through the network and the gradient are computed once, here; each product is one backward pass through both. Their
    memory is held until the function is dropped. ValueError as in ``input_gradients``, and for v of another shape.
    """
    labels = check(network, pixels, labels)
    with _recording(pixels.device):
        leaf = pixels.detach().clone().requires_grad_()
        losses = QUANTITIES["loss"](_logits(network, leaf, labels), labels)
        gradient = _gradient(losses, leaf, create_graph=True)

    def times(vectors: Tensor) -> Tensor:
        if vectors.shape != leaf.shape:
            raise ValueError(f"vectors have the shape {tuple(leaf.shape)} of the pixels; got {tuple(vectors.shape)}")
        with _recording(leaf.device):
            (product,) = torch.autograd.grad(
                gradient, leaf, vectors.detach().to(leaf), retain_graph=True, materialize_grads=True
            )
        return product

    return times


def hessian_vector_product(network: nn.Module, pixels: Tensor, labels: Tensor, vectors: Tensor) -> Tensor:
    """H v of each picture, ``(n, c, h, w)``: H of the loss towards its label, v from ``vectors``, of the shape of ``pixels``.

    ``loss_hessian`` gives the same as a function, for more than one v. ValueError as there.

    Source: B. A. Pearlmutter, "Fast exact multiplication by the Hessian", Neural Computation, 1994.

    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(1, 2, bias=False)).double().eval()
    >>> _ = network[1].weight.data.copy_(torch.tensor([[2.0], [0.0]]))
    >>> x = torch.zeros(1, 1, 1, 1, dtype=torch.float64)       # p = (1/2, 1/2), so H = 2^2 / 4
    >>> hessian_vector_product(network, x, torch.tensor([0]), x + 1).item()
    1.0
    """
    return loss_hessian(network, pixels, labels)(vectors)


class Eigenvalues(NamedTuple):
    """Eigenvalues of the Hessians of n pictures: ``values`` and ``residuals`` ``(n, count)`` of float64, ``products`` ``(n,)``.

    The outermost come first. ``residuals`` are |H v - value v| of the unit vectors v that were found, computed anew, not the
    estimates of the method: an eigenvalue lies within one of its value. What did not converge is nan in both, behind what did.
    ``products`` says how many products with vectors a picture took.
    """

    values: Tensor
    residuals: Tensor
    products: Tensor

    @property
    def missing(self) -> Tensor:
        """How many of a picture's did not converge, ``(n,)``."""
        return self.values.isnan().sum(1)


def top_eigenvalues(
    network: nn.Module,
    pixels: Tensor,
    labels: Tensor,
    count: int = 1,
    which: str = "LA",
    tolerance: float = 1e-4,
    seed: int = 0,
    most_products: int = MOST_PRODUCTS,
) -> Eigenvalues:
    """The outermost eigenvalues of the Hessian of each picture's loss towards its label, by Lanczos' method.

    ``which``: "LA" the greatest, "SA" the least, "LM" those of the greatest magnitude. What the other arguments mean stands in
    ``lanczos.outermost_eigenvalues``. The pictures are computed one after the other, all from the same start vector, so their
    order and number change nothing. Products in float32 carry a rounding error, of a ResNet-18 at 32 px residuals of 1e-6 of the
    greatest eigenvalue were measured: eigenvalues as small as that are noise.

    ValueError as in ``input_gradients``, for a count that is not less than c*h*w, and where a product is not finite.
    """
    count = whole("count", count, 1)
    labels = check(network, pixels, labels)
    size = pixels[:1].numel()
    rows = []
    for picture in range(len(pixels)):
        one = pixels[picture : picture + 1]
        times = loss_hessian(network, one, labels[picture : picture + 1])

        def product(vector: np.ndarray, times: Callable[[Tensor], Tensor] = times, one: Tensor = one) -> np.ndarray:
            return times(torch.from_numpy(vector).view(one.shape)).double().flatten().cpu().numpy()

        rows.append(outermost_eigenvalues(product, size, count, which, tolerance, seed, most_products))
    shape = (len(rows), count)
    values, residuals = (np.array([row[i] for row in rows], dtype=np.float64).reshape(shape) for i in (0, 1))
    products = torch.tensor([row[2] for row in rows], dtype=torch.int64)
    return Eigenvalues(torch.from_numpy(values), torch.from_numpy(residuals), products)


def check(network: nn.Module, pixels: Tensor, classes: Tensor) -> Tensor:
    """The classes where the pixels are; ValueError for what these functions do not take (``input_gradients``)."""
    if any(module.training for module in network.modules()):
        raise ValueError("the network is in training mode, where pictures change each other: call network.eval()")
    if pixels.dim() != 4 or not pixels.is_floating_point():
        raise ValueError(f"pixels are (n, c, h, w) of a float type; got {tuple(pixels.shape)} of {pixels.dtype}")
    if pixels.numel() and not (pixels.min() >= 0 and pixels.max() <= 1):  # nan fails, too
        raise ValueError(
            f"pixels lie in [0, 1]; got {pixels.min():g} to {pixels.max():g}. Divide gray levels by 255, clamp the rest"
        )
    if classes.shape != pixels.shape[:1] or classes.is_floating_point() or classes.dtype == torch.bool:
        raise ValueError(
            f"there is one class, a whole number, for each of {len(pixels)} pictures; got {tuple(classes.shape)} of "
            f"{classes.dtype}"
        )
    return classes.to(pixels.device, torch.int64)


@contextmanager
def _recording(device: torch.device) -> Iterator[None]:
    """Autograd follows what is computed, whatever is said around, and autocast is off."""
    with torch.inference_mode(False), torch.enable_grad(), full_precision(device):
        yield


def _logits(network: nn.Module, pixels: Tensor, classes: Tensor) -> Tensor:
    logits = network(pixels)
    if logits.dim() != 2 or len(logits) != len(pixels):
        raise ValueError(f"logits are (n, classes), n = {len(pixels)}; the network gave {tuple(logits.shape)}")
    beyond = classes[(classes < 0) | (classes >= logits.shape[1])].unique().tolist()
    if beyond:
        raise ValueError(f"the network has {logits.shape[1]} classes; got {', '.join(map(str, beyond))}")
    return logits


def _gradient(values: Tensor, leaf: Tensor, create_graph: bool = False) -> Tensor:
    """Of each picture's value, as pictures do not depend on each other."""
    gradient = None
    if values.requires_grad:
        (gradient,) = torch.autograd.grad(values.sum(), leaf, create_graph=create_graph, allow_unused=True)
    if gradient is None:
        raise ValueError("the logits do not depend on the pixels as far as autograd can see: is something detached?")
    return gradient
