"""Layers for networks on coefficients."""

from dctnet.nn.folded_stem import FoldedStem
from dctnet.nn.frequency_gate import FrequencyGate
from dctnet.nn.pixel_frontend import PixelFrontend

__all__ = ["FoldedStem", "FrequencyGate", "PixelFrontend"]
