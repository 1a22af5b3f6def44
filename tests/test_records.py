"""Records go from the bytes of shards into a batch in C++, which reads nothing outside of them."""

import numpy as np
import pytest

from dctnet.data.lifted_batch import Lifting
from dctnet.jpeg import _native
from dctnet.transforms.compose import Compose
from dctnet.transforms.geometric import CenterCrop


def test_records_outside_of_their_shard_are_refused():
    shard, bands = np.zeros(64 + 16 * 4, dtype=np.uint8), [[0], [0], [0]]
    lifting = Lifting(Compose([CenterCrop(8)], 8).reduced(), bands=bands)
    row = (8.0, 8.0, 0.0, 1.0, 0.0, 8.0)
    operators = np.array([[[row, (4.0, 4.0, 0.0, 1.0, 0.0, 4.0), (4.0, 4.0, 0.0, 1.0, 0.0, 4.0)]] * 2])

    def load(places=((0, 64),), blocks=((1, 1),) * 3, item=1, operators=operators):
        arrays = np.array(places, dtype=np.int64), np.array([blocks], dtype=np.int64)
        _native.lift_records([shard], *arrays, item, operators, lifting.formats, lifting.outputs(1, (8, 8)), 1)

    load()
    for wrong in ((1, 0), (-1, 0), (0, -64), (0, 1), (0, 128), (0, 2**62)):
        with pytest.raises(ValueError, match=r"shard|multiple"):
            load(places=[wrong])
    for count in (0, -1, 60, 2**40):
        with pytest.raises(ValueError, match=r"shard|blocks"):
            load(blocks=((1, 1), (count, 1), (1, 1)))
    with pytest.raises(ValueError, match="bytes"):
        load(item=4)
    for number in (np.nan, np.inf, 2.0**40):
        with pytest.raises(ValueError, match="whole numbers"):
            load(operators=np.full_like(operators, number))
