"""What an attack may assume of network and pictures, and what it must leave as it was: weights, gradients, random numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def check_batch(network: nn.Module, inputs: Tensor, labels: Tensor) -> None:
    """ValueError where these are no network in evaluation mode, no batch in float32 or float64, and no label for each of it."""
    if not isinstance(network, nn.Module):
        raise ValueError(f"an attack is on a torch.nn.Module that gives logits; got {type(network).__name__}")
    if network.training:
        raise ValueError("the network is in training mode, in which it changes as it is attacked; call network.eval()")
    if not isinstance(inputs, Tensor) or not inputs.is_floating_point() or not len(inputs):
        kind = f"{inputs.dtype} {tuple(inputs.shape)}" if isinstance(inputs, Tensor) else type(inputs).__name__
        raise ValueError(f"an attack needs a batch of floating-point inputs, one at least; got {kind}")
    if inputs.dtype not in (torch.float32, torch.float64):
        raise ValueError(
            f"an attack needs inputs in float32 or float64; got {inputs.dtype}, in which a budget cannot be kept to 1e-6. Call "
            "inputs.float(), and let a network of half precision cast them itself, or use autocast."
        )
    if not isinstance(labels, Tensor) or labels.dtype != torch.int64 or labels.shape != (len(inputs),):
        kind = f"{labels.dtype} {tuple(labels.shape)}" if isinstance(labels, Tensor) else type(labels).__name__
        raise ValueError(f"labels are the int64 numbers ({len(inputs)},) of the true classes; got {kind}")


def check_pixels(pixels: Tensor) -> None:
    """ValueError where pixels are not ``(n, channels, H, W)`` of [0, 1]."""
    if pixels.ndim != 4:
        raise ValueError(f"pixels have shape (n, channels, height, width); got {tuple(pixels.shape)}")
    low, high = pixels.detach().aminmax()
    if not (low >= 0 and high <= 1):
        raise ValueError(f"pixels lie in [0, 1]; got values from {low:.4g} to {high:.4g}. Divide gray levels by 255.")


def passes_gradients(network: nn.Module, pixels: Tensor) -> bool:
    """Whether logits hang on pixels in torch's graph."""
    with attack_conditions(network, pixels.device, 0):
        inputs = pixels.detach().clone().requires_grad_()
        logits = network(inputs)
        return logits.requires_grad and torch.autograd.grad(logits.sum(), inputs, allow_unused=True)[0] is not None


class WithoutGradient(nn.Module):
    """A network through which no gradients pass, as one whose gradients are zero: what attacks that follow them can take."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        return self.network(pixels) + 0 * pixels.sum()


def in_float32(network: nn.Module, pixels: Tensor) -> nn.Module:
    """``network`` as one of float32: as it is for ``pixels`` of that type, else with pixels and logits that are cast for it."""
    return network if pixels.dtype == torch.float32 else _Cast(network, pixels.dtype).eval()


class _Cast(nn.Module):
    def __init__(self, network: nn.Module, dtype: torch.dtype):
        super().__init__()
        self.network, self.dtype = network, dtype

    def forward(self, pixels: Tensor) -> Tensor:
        return self.network(pixels.to(self.dtype)).float()


@contextmanager
def attack_conditions(network: nn.Module, device: torch.device, seed: int) -> Iterator[None]:
    """Gradients for inputs but not for weights, and torch's generators at ``seed``; all of it as before afterwards."""
    weights = [parameter for parameter in network.parameters() if parameter.requires_grad]
    devices = [device] if device.type == "cuda" else []
    with torch.inference_mode(False), torch.enable_grad(), torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        for parameter in weights:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in weights:
                parameter.requires_grad_(True)
