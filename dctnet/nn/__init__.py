"""Layers for networks on coefficients, and for feature maps that are kept as spectra."""

from dctnet.nn.compressed_activations import compressed_activations
from dctnet.nn.convert import convert
from dctnet.nn.dct_compress import DCTCompress
from dctnet.nn.frequency_gate import FrequencyGate
from dctnet.nn.harmonic import HarmonicConv2d
from dctnet.nn.octave import OctaveConv2d
from dctnet.nn.pixel_frontend import PixelFrontend
from dctnet.nn.pooling import DCTPool2d

__all__ = [
    "DCTCompress",
    "DCTPool2d",
    "FrequencyGate",
    "HarmonicConv2d",
    "OctaveConv2d",
    "PixelFrontend",
    "compressed_activations",
    "convert",
]
