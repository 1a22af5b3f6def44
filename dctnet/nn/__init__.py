"""Layers for networks on coefficients, and for feature maps that are kept as spectra."""

from dctnet.nn.band_limited import BandLimitedConv1d, BandLimitedConv2d, set_compression
from dctnet.nn.compressed_activations import compressed_activations
from dctnet.nn.convert import convert
from dctnet.nn.convolution import auto_choices, convolution, forget_auto_choices
from dctnet.nn.cook_toom import cook_toom
from dctnet.nn.dct_compress import DCTCompress
from dctnet.nn.exchange import PlaneExchange
from dctnet.nn.fft_convolution import fft_convolution
from dctnet.nn.folded_stem import FoldedStem
from dctnet.nn.frequency_gate import FrequencyGate
from dctnet.nn.grids import SpectralPool2d
from dctnet.nn.harmonic import HarmonicConv2d
from dctnet.nn.im2col import im2col_convolution
from dctnet.nn.multigrid import MultigridBlock, MultigridConv
from dctnet.nn.octave import OctaveConv2d
from dctnet.nn.pixel_frontend import PixelFrontend
from dctnet.nn.plane_resample import PlaneResample
from dctnet.nn.pooling import DCTPool2d
from dctnet.nn.spectral_conv import SpectralConv2d
from dctnet.nn.spectrum_masks import spectrum_mask
from dctnet.nn.winograd import winograd_convolution, winograd_error
from dctnet.nn.winograd_layers import WinogradConv1d, WinogradConv2d

__all__ = [
    "BandLimitedConv1d",
    "BandLimitedConv2d",
    "DCTCompress",
    "DCTPool2d",
    "FoldedStem",
    "FrequencyGate",
    "HarmonicConv2d",
    "MultigridBlock",
    "MultigridConv",
    "OctaveConv2d",
    "PixelFrontend",
    "PlaneExchange",
    "PlaneResample",
    "SpectralConv2d",
    "SpectralPool2d",
    "WinogradConv1d",
    "WinogradConv2d",
    "auto_choices",
    "compressed_activations",
    "convert",
    "convolution",
    "cook_toom",
    "fft_convolution",
    "forget_auto_choices",
    "im2col_convolution",
    "set_compression",
    "spectrum_mask",
    "winograd_convolution",
    "winograd_error",
]
