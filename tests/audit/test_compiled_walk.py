"""The compiled loop and the one in Python accept the same records and stop at the same ones."""

import random

import pytest

from audit import segment
from audit.growth import FastGrowth, SlowGrowth
from audit.walk import COMPILED
from events.segments import segment_files


@pytest.fixture(scope="module")
def data(signed_station):
    paths, _ = signed_station
    return segment_files(paths.journal / "execution")[1]


def test_this_machine_has_the_fast_way():
    assert COMPILED


def test_both_ways_agree_on_the_untouched_segment(data):
    fast, slow = (segment.walk_segment(data, "execution", last=False, compiled=way) for way in (True, False))
    assert fast == slow
    assert fast.damage is None
    assert len(fast.hashes) > 500


def test_both_ways_stop_at_the_same_record_whatever_byte_is_another(data):
    raw, draw = data.read_bytes(), random.Random(9)
    first = int(data.stem)
    prev = segment._first_prev(raw)
    stops = set()
    for _ in range(300):
        bad = bytearray(raw)
        for _ in range(draw.choice((1, 1, 3))):
            bad[draw.randrange(len(bad))] = draw.randrange(256)
        ways = [way(bytes(bad), "execution", first, prev) for way in (segment._fast, segment._slow)]
        assert ways[0] == ways[1]
        stops.add(ways[0][2])
    assert len(stops) > 20


@pytest.mark.parametrize("cut", [0, 1, 7, 8, 9, 200, 1000])
def test_both_ways_end_alike_in_a_torn_segment(data, cut):
    raw = data.read_bytes()[:cut]
    for way in (segment._fast, segment._slow):
        assert way(raw, "execution", int(data.stem), "0" * 64)[2] <= cut
    assert segment._fast(raw, "execution", 0, "0" * 64) == segment._slow(raw, "execution", 0, "0" * 64)


def test_both_trees_grow_alike():
    fast, slow, draw = FastGrowth(), SlowGrowth(), random.Random(3)
    for count in (1, 2, 0, 5, 64, 3):
        leaves = draw.randbytes(32 * count)
        fast.extend(leaves)
        slow.extend(leaves)
        assert (fast.size, fast.root()) == (slow.size, slow.root())
