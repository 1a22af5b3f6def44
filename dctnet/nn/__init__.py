"""Layers for networks on coefficients."""

from dctnet.nn.frequency_gate import FrequencyGate
from dctnet.nn.pixel_frontend import PixelFrontend

__all__ = ["FrequencyGate", "PixelFrontend"]
