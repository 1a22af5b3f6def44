"""Attacks on networks, lossy channels in front of them, and evaluations that stand up."""

from dctnet.robustness.adaptive import bpda, expectation
from dctnet.robustness.attacks import ATTACKS, attack
from dctnet.robustness.channel import Channel, Distortion, distortion
from dctnet.robustness.channels import CHANNELS, create_channel
from dctnet.robustness.checks import check_defence
from dctnet.robustness.coefficient_attacks import attack_coefficients
from dctnet.robustness.curvature import hessian_vector_product, input_gradients, top_eigenvalues
from dctnet.robustness.curvature_groups import compare
from dctnet.robustness.pixel_classifier import PixelClassifier, RGBClassifier
from dctnet.robustness.vote import Vote, majority_vote

__all__ = [
    "ATTACKS",
    "CHANNELS",
    "Channel",
    "Distortion",
    "PixelClassifier",
    "RGBClassifier",
    "Vote",
    "attack",
    "attack_coefficients",
    "bpda",
    "check_defence",
    "compare",
    "create_channel",
    "distortion",
    "expectation",
    "hessian_vector_product",
    "input_gradients",
    "majority_vote",
    "top_eigenvalues",
]
