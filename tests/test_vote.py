"""The majority vote against counts by hand and the binomial law."""

import math

import numpy as np
import pytest
import scipy.stats
import torch

from dctnet.robustness.channels import create_channel
from dctnet.robustness.vote import majority_vote


class Script:
    """A classifier that says what it was told, trial after trial."""

    def __init__(self, *logits):
        self.logits = [torch.tensor(each) for each in logits]

    def __call__(self, pixels):
        return self.logits.pop(0)


def test_votes_are_counted_and_the_most_win():
    script = Script([[5.0, 0, 0], [0, 1.0, 0]], [[0, 0.1, 0], [0, 0, 1.0]], [[0, 0.1, 0], [0, 0, 1.0]])
    vote = majority_vote(script, torch.rand(2, 1, 2, 2), create_channel("none"), trials=3)
    assert vote.labels.tolist() == [1, 2] and vote.counts.tolist() == [[1, 2, 0], [0, 1, 2]]
    assert vote.labels.dtype == vote.counts.dtype == torch.int64


def test_a_tie_goes_to_the_greater_probability_and_then_to_the_first():
    pixels, none = torch.rand(1, 1, 2, 2), create_channel("none")
    sure, unsure = [[0, 0.1, 0.0]], [[0.0, 0, 5.0]]
    assert majority_vote(Script(sure, unsure), pixels, none, 2).labels.tolist() == [2]
    assert majority_vote(Script(unsure, sure), pixels, none, 2).labels.tolist() == [2]
    assert majority_vote(Script([[0, 1.0, 0]], [[0, 0, 1.0]]), pixels, none, 2).labels.tolist() == [1]
    # A class without the most votes does not win, however probable.
    loud = [[9.0, 0, 0]]
    assert majority_vote(Script(loud, sure, sure), pixels, none, 3).labels.tolist() == [1]


def test_votes_on_noise_follow_the_binomial_law():
    """One sample of 0.52 with normal noise of 0.1 is above one half with the chance Phi(0.2)."""
    pixels = torch.full((400, 1, 1, 1), 0.52)
    channel = create_channel("gaussian", 0.1, generator=torch.Generator().manual_seed(0))

    def above(pixels):
        return torch.stack([torch.zeros(len(pixels)), pixels[:, 0, 0, 0] - 0.5], 1)

    chance, trials = scipy.stats.norm.cdf(0.2), 15
    vote = majority_vote(above, pixels, channel, trials)
    assert (vote.counts.sum(1) == trials).all()
    deviation = math.sqrt(chance * (1 - chance) / (400 * trials))
    assert abs(vote.counts[:, 1].double().mean() / trials - chance) < 4 * deviation
    right = scipy.stats.binom.sf(trials // 2, trials, chance)
    assert right > chance + 0.1
    assert abs(float(vote.labels.double().mean()) - right) < 4 * math.sqrt(right * (1 - right) / 400)


def test_from_one_seed_the_vote_is_the_same():
    pixels = torch.rand(6, 3, 8, 8)
    weights = torch.randn(192, 5, generator=torch.Generator().manual_seed(0))
    generator = torch.Generator()
    votes = []
    for _ in range(2):
        channel = create_channel("uniform", 0.2, generator=generator.manual_seed(4))
        votes.append(majority_vote(lambda x: (x.flatten(1) - 0.5) @ weights, pixels, channel, 7))
    assert torch.equal(votes[0].counts, votes[1].counts) and torch.equal(votes[0].labels, votes[1].labels)
    np.testing.assert_array_equal(votes[0].counts.sum(1), 7)


def test_wrong_arguments_are_refused():
    pixels, none = torch.rand(2, 1, 2, 2), create_channel("none")
    for trials in (0, 1.0, True):
        with pytest.raises(ValueError, match="trials is a whole number at least 1"):
            majority_vote(lambda x: x.flatten(1), pixels, none, trials)
    for classify, message in (
        (lambda x: x, r"gives finite logits \(n, classes\) of 2 pictures; got \(2, 1, 2, 2\)"),
        (lambda x: x[:1].flatten(1), r"got \(1, 4\)"),
        (lambda x: x.flatten(1) * math.nan, "not all finite"),
    ):
        with pytest.raises(ValueError, match=message):
            majority_vote(classify, pixels, none)
