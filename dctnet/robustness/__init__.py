"""What lossy channels do to pictures and to attacks on them."""

from dctnet.robustness.channel import Channel, Distortion, distortion
from dctnet.robustness.channels import CHANNELS, create_channel
from dctnet.robustness.vote import Vote, majority_vote

__all__ = ["CHANNELS", "Channel", "Distortion", "Vote", "create_channel", "distortion", "majority_vote"]
