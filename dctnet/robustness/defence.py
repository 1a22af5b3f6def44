"""A defence as the checks look at it: a network, what an attacker differentiates in its place, pictures and a budget."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from dctnet.robustness.attacks import attack
from dctnet.robustness.conditions import attack_conditions


class Check(NamedTuple):
    """One entry of the list: whether it passed, what was measured, and what that means."""

    name: str
    passed: bool
    measured: str
    meaning: str


class Defence(NamedTuple):
    """What is checked: network, what the attacker differentiates, pictures, labels, budget; how it is measured."""

    network: nn.Module
    attacked: nn.Module
    pixels: Tensor
    labels: Tensor
    norm: str
    epsilon: float
    seed: int
    draws: int
    tolerance: float

    def accuracy(self, pixels: Tensor) -> float:
        """The share of ``pixels`` that the network gets right, the mean over the draws of a random one."""
        return right(self.network, pixels, self.labels, self.draws, self.seed).mean().item()

    def perturbed(self, name: str, network: nn.Module | None = None, **options: Any) -> Tensor:
        """What an attack makes of the pictures, by default on what the attacker differentiates."""
        options = {"epsilon": self.epsilon, "seed": self.seed} | options
        return attack(name, self.attacked if network is None else network, self.pixels, self.labels, **options)


def right(network: nn.Module, pixels: Tensor, labels: Tensor, draws: int = 1, seed: int = 0) -> Tensor:
    """The share of ``draws`` (n,) in which each picture is classified as ``labels`` say."""
    with (
        attack_conditions(network, pixels.device, seed + 1),
        torch.no_grad(),
    ):  # not the draws that an attack began with
        hits = torch.stack([network(pixels).argmax(1) == labels for _ in range(draws)])
    return hits.double().mean(0)
