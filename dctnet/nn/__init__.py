"""Layers for networks on coefficients."""

from dctnet.nn.pixel_frontend import PixelFrontend

__all__ = ["PixelFrontend"]
