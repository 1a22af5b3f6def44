"""Gradients for less memory: a network that is run again in its backward pass in place of keeping what it computed."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class Recomputed(nn.Module):
    """``network``, of which a pass keeps the input alone; the gradient costs a second pass, and is the same to the bit.

    In an ``expectation`` the memory is then that of one draw, whatever their number. ``network`` draws no random numbers.

    >>> pixels = torch.ones(1, 2, requires_grad=True)
    >>> Recomputed(nn.Linear(2, 1, bias=False).requires_grad_(False))(pixels).sum().backward()
    >>> pixels.grad.shape
    torch.Size([1, 2])
    """

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network, self.training = network, network.training

    def forward(self, inputs: Tensor) -> Tensor:
        if not (torch.is_grad_enabled() and inputs.requires_grad):
            return self.network(inputs)
        return checkpoint(self.network, inputs, use_reentrant=False, preserve_rng_state=False)
