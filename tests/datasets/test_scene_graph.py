"""Scene graphs: laws that hold for every seed."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from emms.datasets.scene_graph import SIDE, draw_scene, random_numbers
from emms.datasets.scene_words import COLOURS, PLACES, SHAPES

SEEDS = st.integers(0, 2**32 - 1)


@given(SEEDS, st.integers(0, 10**6))
def test_objects_differ_and_do_not_overlap(seed, index):
    scene = draw_scene(random_numbers(seed, index, 0))
    things = scene.things
    assert 3 <= len(things) <= 6
    assert len({(t.size, t.colour, t.shape) for t in things}) == len({t.name for t in things}) == len(things)
    assert [t.size == "large" for t in things] == [True] + [False] * (len(things) - 1)
    assert {t.name for t in things} <= set(PLACES[scene.place])
    for one in things:
        assert one.radius < min(one.x, one.y)
        assert max(one.x, one.y) < SIDE - one.radius
        for other in things:
            apart = max(abs(one.x - other.x), abs(one.y - other.y))
            assert one is other or apart > one.radius + other.radius


@given(SEEDS)
def test_left_and_above_are_clear_to_see(seed):
    things = draw_scene(random_numbers(seed, 0, 0)).things
    for one in things:
        for other in things:
            assert one.column >= other.column or other.x - one.x > 30
            assert one.row >= other.row or other.y - one.y > 30


def test_everything_occurs_about_equally_often():
    things = [thing for index in range(2000) for thing in draw_scene(random_numbers(0, index, 0)).things]
    for attribute, values in (("shape", SHAPES), ("colour", COLOURS), ("row", range(3)), ("column", range(3))):
        counts = Counter(getattr(thing, attribute) for thing in things)
        assert set(counts) == set(values)
        assert max(counts.values()) < 1.25 * min(counts.values())


def test_no_thing_belongs_in_two_places():
    names = [name for place in PLACES.values() for name in place]
    assert len(names) == len(set(names)) == 24 * 10
