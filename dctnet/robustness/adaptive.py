"""Channels as an attacker who knows them sees them: BPDA for what has no useful gradient, EOT for what is random.

Both are modules, so any attack takes them in front of a network, C&W of foolbox as well as PGD. Of a channel c that rounds, with
a surrogate s that does nearly the same,

    bpda:         x -> c(x)  forwards,  the gradient of s backwards

and of one that draws at random, K draws in each step,

    expectation:  x -> 1/K sum_k f(c_k(x))

the mean of the logits, so that the Jacobian is the mean of the draws' Jacobians. foolbox's C&W asks the network once a step, so
it could not average losses; the margin that it lowers is linear in the logits, and between two given classes its mean is the
margin of the mean. The cross-entropy of PGD is that of the mean of the logits, not the mean of cross-entropies.

Source: Athalye, Carlini and Wagner, "Obfuscated gradients give a false sense of security", ICML 2018.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from dctnet.arguments import whole


class _Instead(torch.autograd.Function):
    """The values of the first argument, the gradient to the second."""

    @staticmethod
    def forward(values: Tensor, carrier: Tensor) -> Tensor:
        return values.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor]:
        return None, gradient


class BPDA(nn.Module):
    """``channel(pixels)`` to the bit, with the gradient of ``surrogate(pixels)``; see ``bpda``."""

    differentiable = True

    def __init__(self, channel: nn.Module, surrogate: nn.Module):
        super().__init__()
        self.channel, self.surrogate = channel, surrogate
        self.random = bool(getattr(channel, "random", False))
        self.training = channel.training

    def forward(self, pixels: Tensor) -> Tensor:
        with torch.no_grad():
            values = self.channel(pixels)
        carrier = self.surrogate(pixels)
        if carrier.shape != values.shape:
            raise ValueError(
                f"the surrogate gives what the channel gives, {tuple(values.shape)}; got {tuple(carrier.shape)}. For a channel "
                "that changes the size of pictures pass a surrogate that does."
            )
        return _Instead.apply(values, carrier)


def bpda(channel: nn.Module, backward: str | nn.Module = "identity") -> BPDA:
    """A module with the values of ``channel`` and the gradient of ``backward``: "identity", or a differentiable module.

    ValueError for anything else, and where the shapes of the two differ.

    >>> class Round(nn.Module):
    ...     def forward(self, pixels):
    ...         return (pixels * 7).round() / 7
    >>> pixels = torch.full((1, 3, 2, 2), 0.5, requires_grad=True)
    >>> bpda(Round())(pixels).sum().backward()
    >>> pixels.grad.unique()
    tensor([1.])
    """
    if not isinstance(channel, nn.Module):
        raise ValueError(f"a channel is a torch.nn.Module on pixels; got {type(channel).__name__}")
    if isinstance(backward, str) and backward == "identity":
        backward = nn.Identity()
    if not isinstance(backward, nn.Module):
        raise ValueError(f'backward is "identity" or a torch.nn.Module on pixels; got {backward!r}')
    return BPDA(channel, backward)


class Expectation(nn.Module):
    """The mean of ``network(channel(pixels))`` over ``samples`` draws of the channel; see ``expectation``."""

    def __init__(self, network: nn.Module, channel: nn.Module, samples: int):
        super().__init__()
        self.network, self.channel = network, channel
        self.samples = whole("samples", samples, 1)
        self.training = network.training

    def forward(self, pixels: Tensor) -> Tensor:
        # One draw after the other: a channel may draw once a batch.
        return torch.stack([self.network(self.channel(pixels)) for _ in range(self.samples)]).mean(0)


def expectation(network: nn.Module, channel: nn.Module | None = None, samples: int = 16) -> Expectation:
    """A network whose logits are the mean over ``samples`` draws of ``channel`` in front of ``network``, drawn anew each time.

    Without ``channel`` the draws are those inside ``network``. A channel that is random and not differentiable goes in as
    ``bpda(channel)``. Memory for gradients is that of ``samples`` passes.

    >>> class Noise(nn.Module):
    ...     def forward(self, pixels):
    ...         return pixels + 0.1 * torch.randn_like(pixels)
    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(12, 2)).eval()
    >>> expectation(network, Noise(), samples=4)(torch.zeros(1, 3, 2, 2)).shape
    torch.Size([1, 2])
    """
    return Expectation(network, nn.Identity() if channel is None else channel, samples)
