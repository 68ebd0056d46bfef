"""Extraction: bounded memory, shared passes, resuming; failing networks do not affect others."""

from __future__ import annotations

import errno
import time
from collections import Counter
from typing import Any, ClassVar

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image

from emms.datasets.base import LISTING, Dataset, Listing
from emms.downstream.image_classification import ImageSample
from emms.errors import BadSampleError, DatasetError, MissingDecoderError, UnavailableError
from emms.models import candidate, extraction, loading
from emms.models.base import Candidate, Forward
from emms.models.extraction import Extraction
from emms.models.features import Features, FeaturesKey, JoinedFeatures, find_features
from emms.models.passes import Member, plan_passes
from emms.progress import Silent, listener
from emms.spec import ModelSpec
from emms.store import Store

CPU = torch.device("cpu")
ROWS = 16
LOADED: Counter[str] = Counter()


class Noise(Dataset):
    """Random images; counts how often each is loaded. Some are damaged, and those after some sample are missing."""

    format: str = "noise"
    damaged: tuple[int, ...] = ()
    interrupted_at: int = 10**9

    def listing(self) -> Listing:
        raise AssertionError("extraction does not list")

    def load(self, record: dict[str, Any]) -> ImageSample:
        if record["position"] in self.damaged:
            raise BadSampleError("damaged; restore it")
        if record["position"] >= self.interrupted_at:
            raise KeyboardInterrupt
        LOADED[record["id"]] += 1
        pixels = np.random.default_rng(record["position"]).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        return ImageSample(record["id"], Image.fromarray(pixels))


class Plain(Candidate):
    """A minimal network: its features are the pixels, times 2 for its second view."""

    calls = 0
    out_of_memory_above = 10**9
    spoilt: tuple[int, ...] = ()
    broken = False
    prepared: ClassVar[Counter[str]] = Counter()

    @classmethod
    def names(cls, pattern: str) -> list[str]:
        return ["plain"]

    def check(self) -> None:
        pass

    def size(self) -> tuple[int, int]:
        return 192, 1000

    def network(self, digests: Any) -> dict[str, Any]:
        return {"plain": self.spec.name}

    def preprocessing(self) -> dict[str, Any]:
        return {"decode": "rgb"}

    def sharing(self) -> str:
        return "as it is"

    def prepare(self, sample: ImageSample) -> np.ndarray:
        Plain.prepared[sample.id] += 1
        return np.asarray(sample.image)

    def load(self, device: torch.device) -> Forward:
        return PlainForward(type(self))


class Flipped(Plain):
    def sharing(self) -> str:
        return "flipped"

    def preprocessing(self) -> dict[str, Any]:
        return {"decode": "rgb", "flip": True}

    def prepare(self, sample: ImageSample) -> np.ndarray:
        return np.asarray(sample.image)[:, ::-1]


class PlainForward(Forward):
    parameters = 7

    def __init__(self, kind: type[Plain]) -> None:
        self.kind = kind

    def __call__(self, batch, views):
        self.kind.calls += 1
        if self.kind.broken:
            raise IndexError("tensor has no dimension 5")
        if len(batch) > self.kind.out_of_memory_above:
            torch.empty(2**50)  # raises a real error of the allocator
        x = torch.from_numpy(np.ascontiguousarray(batch)).float().flatten(1)
        for row in self.kind.spoilt:
            if row < len(x):
                x[row] = float("nan")
        return [x * (index + 1) for index, _ in enumerate(views)]


def make(name: str = "plain", layer: str | None = None, kind: type[Plain] = Plain) -> Member:
    network = type(kind.__name__, (kind,), {"calls": 0, "prepare": kind.prepare})(
        ModelSpec(source="x", name=name, layer=layer)
    )
    key = FeaturesKey(
        contents="all",
        network=network.network(None),
        preprocessing=network.preprocessing(),
        layer=layer,
        pool="auto",
        dtype="float32",
    )
    return Member(network, key)


def shards(count: int) -> list[str]:
    return [f"samples {start} of {count}" for start in range(0, count, ROWS)]


def extract(members: list[Member], count: int, store: Store, dataset: Noise | None = None, **settings: Any) -> None:
    rows = {"id": [str(i) for i in range(count)], "label": [0] * count, "path": [""] * count, "position": range(count)}
    Extraction(
        dataset=dataset or Noise(),
        records=pl.DataFrame(rows, schema=LISTING).with_columns(digest=pl.lit("")),
        shards={member.id: shards(count) for member in members},
        since=time.time_ns(),
        store=store,
        device=CPU,
        shard_rows=ROWS,
        **settings,
    ).run(members)


def found(store: Store, member: Member, count: int) -> Features | None:
    return find_features(store, member.key, shards(count))


def read(store: Store, member: Member, count: int) -> np.ndarray:
    features = found(store, member, count)
    assert features is not None, member.failure
    return np.concatenate(list(features))


def expected(count: int) -> np.ndarray:
    images = [Noise().load({"id": "", "position": i}).image for i in range(count)]
    return np.stack([np.asarray(image, dtype=np.float32).ravel() for image in images])


@pytest.fixture
def store(tmp_path) -> Store:
    LOADED.clear()
    Plain.prepared.clear()
    return Store(str(tmp_path))


class Recorder(Silent):
    """Records progress, and interrupts the run after a number of samples of a model."""

    def __init__(self, interrupt_after: int = 10**9) -> None:
        self.interrupt_after = interrupt_after
        self.done: dict[str, int] = {}
        self.in_store: dict[str, int] = {}
        self.speeds: list[float] = []
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)

    def advance(self, what: str, done: int, total: int, throughput: float) -> None:
        self.done[what] = done
        self.speeds.append(throughput)
        if done > self.interrupt_after:
            raise KeyboardInterrupt

    def kept(self, what: str, done: int, total: int) -> None:
        self.in_store[what] = done


@pytest.fixture
def recorder():
    recorder = Recorder()
    token = listener.set(recorder)
    yield recorder
    listener.reset(token)


def test_features_come_in_the_order_of_the_samples_over_all_shards(store):
    member = make()
    extract([member], 41, store, batch_size=5)
    np.testing.assert_array_equal(read(store, member, 41), expected(41))
    features = found(store, member, 41)
    assert (len(features.shards), features.dimension, features.parameters) == (3, 192, 7)
    assert features.throughput > 0
    assert not features.constant


def test_a_sample_is_loaded_once_for_all_networks_and_goes_once_through_each(store):
    a, a_early, b, flipped = make("a"), make("a", layer="early"), make("b"), make("c", kind=Flipped)
    assert plan_passes([a, b, a_early, flipped], memory=10**9) == [[a, a_early, b, flipped]]
    extract([a, a_early, b, flipped], 16, store, batch_size=4)
    assert set(LOADED.values()) == {1}
    assert type(a.candidate).calls + type(a_early.candidate).calls == 4
    assert type(b.candidate).calls == 4
    np.testing.assert_array_equal(read(store, a_early, 16), 2 * read(store, a, 16))
    upright = read(store, a, 16).reshape(-1, 8, 8, 3)
    np.testing.assert_array_equal(read(store, flipped, 16).reshape(-1, 8, 8, 3), upright[:, :, ::-1])


def test_networks_with_equal_preprocessing_share_it(store):
    a, b = make("a"), make("b")
    type(b.candidate).prepare = type(a.candidate).prepare
    extract([a, b], 16, store)
    assert set(Plain.prepared.values()) == {1}


def test_a_pass_has_as_many_networks_as_fit_into_memory(store):
    members = [make(str(number)) for number in range(20)]
    one = 4 * (1000 + 2048 * 192)
    assert [len(part) for part in plan_passes(members, memory=7 * one)] == [7, 7, 6]
    assert [len(part) for part in plan_passes(members, memory=1)] == [1] * 20
    views = [make("a", layer=str(layer)) for layer in range(3)]
    assert plan_passes(views, memory=1) == [views]
    assert plan_passes([], memory=1) == []


def test_what_is_in_the_store_is_not_computed_again(store):
    extract([make()], 40, store)
    LOADED.clear()
    again = make()
    extract([again], 40, store)
    assert not LOADED
    assert again.computed == 0


def test_an_interrupted_pass_keeps_every_sample_that_was_done_and_goes_on_there(store):
    token = listener.set(recorder := Recorder(interrupt_after=24))
    member = make()
    try:
        with pytest.raises(KeyboardInterrupt):
            extract([member], 40, store, batch_size=4)
    finally:
        listener.reset(token)
    assert (member.failure, member.computed) == (None, 1)
    assert recorder.in_store == {"x:plain": 28}
    LOADED.clear()
    member = make()
    extract([member], 40, store, batch_size=4)
    assert set(LOADED) == {str(i) for i in range(28, 40)}
    np.testing.assert_array_equal(read(store, member, 40), expected(40))
    assert not list(store.fs.find(f"{store.root}/unfinished"))


def test_an_unfinished_shard_is_stored_every_so_often(store, recorder, monkeypatch):
    monkeypatch.setattr(extraction, "SAVE_S", 0.0)
    extract([make()], 10, store, batch_size=4)
    assert recorder.in_store == {"x:plain": 10}
    writes = []
    monkeypatch.setattr(recorder, "kept", lambda what, done, total: writes.append((done, total)), raising=False)
    extract([make("other")], 10, store, batch_size=4)
    assert writes == [(4, 10), (8, 10), (10, 10), (10, 10)]


def test_candidates_with_more_stored_samples_are_not_computed_twice(store):
    token = listener.set(Recorder(interrupt_after=7))
    try:
        with pytest.raises(KeyboardInterrupt):
            extract([make("early")], 16, store, batch_size=4)
    finally:
        listener.reset(token)
    early, late = make("early"), make("late")
    extract([early, late], 16, store, batch_size=4)
    for member in (early, late):
        np.testing.assert_array_equal(read(store, member, 16), expected(16))
    assert (type(early.candidate).calls, type(late.candidate).calls) == (2, 4)


def test_the_reported_throughput_is_the_stored_one(store, recorder):
    member = make()
    extract([member], 16, store, batch_size=4)
    assert recorder.speeds[-1] == pytest.approx(found(store, member, 16).throughput)


def test_bfloat16_on_a_cpu_gives_a_warning(store, recorder):
    member = make()
    extract([member], 4, store)
    assert recorder.warnings == []
    member.key = member.key.model_copy(update={"dtype": "bfloat16"})
    extract([member], 4, store)
    assert ["slower" in warning for warning in recorder.warnings] == [True]


def test_a_missing_shard_is_the_only_one_computed_again(store):
    member = make()
    extract([member], 40, store)
    store.fs.rm(store.path(member.key.shard(shards(40)[1])), recursive=True)
    LOADED.clear()
    extract([member], 40, store)
    assert set(LOADED) == {str(i) for i in range(16, 32)}


def test_the_batch_is_halved_until_memory_suffices(store):
    member = make(kind=type("Hungry", (Plain,), {"out_of_memory_above": 3}))
    extract([member], 16, store, batch_size=8)
    assert member.failure is None
    np.testing.assert_array_equal(read(store, member, 16), expected(16))


def test_a_network_that_does_not_fit_beside_others_is_run_alone(store):
    class Crowded(Plain):
        """A network that runs out of memory while another one is loaded."""

        def load(self, device):
            return CrowdedForward(type(self))

    class CrowdedForward(PlainForward):
        others = 0

        def __call__(self, batch, views):
            if CrowdedForward.others:
                torch.empty(2**50)
            return super().__call__(batch, views)

    class Other(Plain):
        def load(self, device):
            CrowdedForward.others += 1
            return OtherForward(type(self))

    class OtherForward(PlainForward):
        def __del__(self):
            CrowdedForward.others -= 1

    crowded, other = make("crowded", kind=Crowded), make("other", kind=Other)
    extract([other, crowded], 40, store, batch_size=4)
    for member in (crowded, other):
        assert member.failure is None
        np.testing.assert_array_equal(read(store, member, 40), expected(40))


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        ({"out_of_memory_above": 0}, "does not fit into the memory of cpu, even one sample at a time"),
        ({"spoilt": (0, 2)}, r"has features with nan or infinity for 2 of 16 samples"),
        ({"broken": True}, "fails in its forward pass: IndexError: tensor has no dimension 5"),
        ({"prepare": lambda self, sample: 1 / 0}, "fails in its forward pass: ZeroDivisionError"),
        ({"prepare": lambda self, sample: np.zeros(int(sample.id) + 1)}, "all input arrays must have the same shape"),
    ],
)
def test_a_failing_network_does_not_affect_the_others(store, trouble, reason):
    good, bad = make("good"), make("bad", kind=type("Bad", (Plain,), trouble))
    extract([bad, good], 40, store, batch_size=16)
    assert bad.failure is not None
    assert "all input arrays" in reason or "model 'x:bad'" in bad.failure
    with pytest.raises(ValueError, match=reason):
        raise ValueError(bad.failure)
    assert found(store, bad, 40) is None
    np.testing.assert_array_equal(read(store, good, 40), expected(40))


def test_a_failing_layer_does_not_affect_other_layers(store):
    class Picky(Plain):
        def load(self, device):
            return PickyForward(type(self))

    class PickyForward(PlainForward):
        def __call__(self, batch, views):
            if any(view.layer == "odd" for view in views):
                raise IndexError("no such layer")
            return super().__call__(batch, views)

    members = [make("a", layer=layer, kind=Picky) for layer in ("early", "odd", "late")]
    extract(members, 20, store, batch_size=8)
    assert [bool(member.failure) for member in members] == [False, True, False]
    np.testing.assert_array_equal(read(store, members[0], 20), expected(20))


def test_damaged_samples_stop_the_run_and_are_all_listed(store):
    member, dataset = make(), Noise(damaged=(19, 33, 38))
    with pytest.raises(DatasetError) as caught:
        extract([member], 40, store, dataset, batch_size=4)
    assert str(caught.value).splitlines() == [
        "3 of 40 samples cannot be read:",
        "  19: damaged; restore it",
        "  33: damaged; restore it",
        "  38: damaged; restore it",
        "fix or remove them, or leave them out with `on_bad_sample: skip`",
    ]
    LOADED.clear()
    extract([member], 40, store, batch_size=4)  # fixed
    assert set(LOADED) == {str(i) for i in range(16, 40)}
    np.testing.assert_array_equal(read(store, member, 40), expected(40))


def test_the_search_for_more_damaged_samples_has_a_time_limit(store, monkeypatch):
    monkeypatch.setattr(loading, "_SCAN_S", -1.0)
    monkeypatch.setattr(loading, "cores", lambda: 1)
    with pytest.raises(DatasetError, match=r"1 of 19 samples cannot be read:\n  2: damaged.*\n\(21 more samples were"):
        extract([make()], 40, store, Noise(damaged=(2, 30)), batch_size=3)


def test_damaged_samples_are_left_out_for_every_candidate(store):
    early, late, dataset = make("early"), make("late"), Noise(damaged=(3, 17, *range(32, 40)))
    extract([early], 40, store, dataset, batch_size=4, on_bad_sample="skip")
    extract([late], 40, store, dataset, batch_size=16, on_bad_sample="skip")
    kept = [i for i in range(32) if i not in (3, 17)]
    for member in (early, late):
        np.testing.assert_array_equal(read(store, member, 40), expected(40)[kept])
        features = found(store, member, 40)
        assert [bad.row for bad in features.skipped] == [3, 17, *range(32, 40)]
        assert {bad.reason for bad in features.skipped} == {"damaged; restore it"}
        assert features.dimension == 192


def test_damaged_samples_of_an_unfinished_shard_are_remembered(store):
    dataset, token = Noise(damaged=(3,)), listener.set(Recorder(interrupt_after=7))
    try:
        with pytest.raises(KeyboardInterrupt):
            extract([make()], 16, store, dataset, batch_size=4, on_bad_sample="skip")
    finally:
        listener.reset(token)
    member = make()
    extract([member], 16, store, dataset, batch_size=4, on_bad_sample="skip")
    assert [bad.row for bad in found(store, member, 16).skipped] == [3]
    assert len(read(store, member, 16)) == 15


class Flaky(Noise):
    """A dataset whose file system fails to read one sample a number of times."""

    failures: int = 1
    number: int = errno.EIO

    def load(self, record):
        if record["position"] == 5 and FAILED[self.failures] < self.failures:
            FAILED[self.failures] += 1
            try:
                raise OSError(self.number, "Input/output error")
            except OSError as cause:
                raise BadSampleError("cannot be opened (Input/output error)") from cause
        return super().load(record)


FAILED: Counter[int] = Counter()


@pytest.mark.parametrize("on_bad_sample", ["stop", "skip"])
def test_transient_errors_of_the_file_system_are_not_bad_samples(store, monkeypatch, on_bad_sample):
    monkeypatch.setattr(loading, "_PAUSES", (0.0, 0.0, 0.0))
    FAILED.clear()
    member = make()
    records_have_digests(monkeypatch)
    extract([member], 16, store, Flaky(failures=3), on_bad_sample=on_bad_sample)
    np.testing.assert_array_equal(read(store, member, 16), expected(16))
    with pytest.raises(UnavailableError, match=r"sample '5' temporarily cannot be read \(Input/output error\)"):
        extract([make("b")], 16, store, Flaky(failures=10**6), on_bad_sample=on_bad_sample)
    with pytest.raises(DatasetError, match="sample '5' was removed after the run began"):
        extract([make("c")], 16, store, Flaky(failures=10**5, number=errno.ENOENT), on_bad_sample=on_bad_sample)


def records_have_digests(monkeypatch) -> None:
    monkeypatch.setattr(extraction, "confirm", lambda *_: None)
    read_one = loading.read
    monkeypatch.setattr(loading, "read", lambda dataset, record: read_one(dataset, {**record, "digest": "known"}))


def test_a_sample_that_could_not_be_opened_when_it_was_listed_is_damaged(store):
    FAILED.clear()
    member = make()
    extract([member], 16, store, Flaky(failures=10**6), on_bad_sample="skip")  # records without digests
    assert [bad.row for bad in found(store, member, 16).skipped] == [5]


@pytest.mark.parametrize("on_bad_sample", ["stop", "skip"])
def test_a_sample_whose_decoder_is_not_installed_is_not_remembered_as_damaged(store, on_bad_sample):
    class Heic(Noise):
        def load(self, record):
            raise MissingDecoderError("a HEIC image; install pillow-heif")

    with pytest.raises(DatasetError, match="sample '0' cannot be read: a HEIC image; install pillow-heif"):
        extract([make()], 16, store, Heic(), on_bad_sample=on_bad_sample)
    assert not list(store.fs.find(store.root))


def test_constant_features_are_recorded(store):
    class Blind(Plain):
        def prepare(self, sample):
            return np.full((8, 8, 3), 7, np.uint8)

    member = make(kind=Blind)
    extract([member], 40, store, batch_size=4)
    assert found(store, member, 40).constant


def test_bfloat16_is_close_to_float32(store):
    count, results = 4, {}
    for dtype in ("float32", "bfloat16"):
        network = candidate(ModelSpec(source="timm", name="resnet10t", pretrained=False))
        key = FeaturesKey(
            contents="all",
            network={"resnet10t": 0},
            preprocessing=network.preprocessing(),
            layer=None,
            pool="auto",
            dtype=dtype,
        )
        member = Member(network, key)
        extract([member], count, store)
        results[dtype] = read(store, member, count)
    assert results["bfloat16"].dtype == np.float32
    difference = np.abs(results["bfloat16"] - results["float32"]).max()
    assert 0 < difference < 0.05 * np.abs(results["float32"]).max()


class Words(Plain):
    """A network of texts in the listing: the sum of the codes of the letters, and the number of letters."""

    reads = frozenset({"text"})
    ragged = True
    batches: ClassVar[list[list[int]]] = []

    def prepare(self, sample):
        Plain.prepared[sample.text] += 1
        return sample.text.encode()

    def length(self, prepared):
        return len(prepared)

    def sharing(self):
        return "words"

    def load(self, device):
        return WordsForward()


class WordsForward(Forward):
    parameters = 1

    def __call__(self, batch, views):
        Words.batches.append([len(text) for text in batch])
        return [torch.tensor([[sum(text), len(text)] for text in batch], dtype=torch.float32) for _ in views]


def test_texts_are_run_sorted_by_length_and_without_reading_files(store):
    texts = ["a" * (1 + 7 * i % 13) + chr(97 + i % 3) for i in range(64)]
    rows = {"id": [str(i) for i in range(64)], "label": [0] * 64, "path": ["missing"] * 64, "position": [0] * 64}
    records = pl.DataFrame(rows, schema=LISTING).with_columns(digest=pl.lit(""), text=pl.Series(texts))
    member = make(kind=Words)
    member.in_files = False
    Words.batches.clear()
    contents = {member.id: ["texts"]}
    Extraction(Noise(damaged=(0,)), records, contents, time.time_ns(), store, CPU, batch_size=8).run([member])
    features = np.concatenate(list(find_features(store, member.key, ["texts"])))
    assert features.tolist() == [[sum(text.encode()), len(text)] for text in texts]
    distinct = sorted({text: len(text) for text in texts}.values(), reverse=True)
    assert [length for batch in Words.batches for length in batch] == distinct
    assert all(len(batch) <= 8 for batch in Words.batches)


def test_an_image_with_several_texts_is_decoded_and_run_once_per_batch(store):
    rows = {"id": [str(i) for i in range(32)], "label": [0] * 32, "path": [""] * 32}
    schema = {**LISTING, "text": pl.String}
    records = pl.DataFrame({**rows, "position": [i // 4 for i in range(32)], "text": rows["id"]}, schema=schema)
    member = make()
    LOADED.clear()
    Extraction(
        Noise(),
        records.with_columns(digest=pl.lit("")),
        {member.id: ["all"]},
        time.time_ns(),
        store,
        CPU,
        batch_size=16,
    ).run([member])
    features = np.concatenate(list(find_features(store, member.key, ["all"])))
    assert sum(LOADED.values()) == 8
    assert len(features) == 32
    assert (features.reshape(8, 4, -1) == features.reshape(8, 4, -1)[:, :1]).all()
    assert len(np.unique(features, axis=0)) == 8


def test_an_unreadable_image_with_several_texts_is_skipped_for_all_of_them(store):
    rows = {
        "id": [str(i) for i in range(8)],
        "label": [0] * 8,
        "path": [""] * 8,
        "position": [i // 4 for i in range(8)],
    }
    records = pl.DataFrame(rows, LISTING).with_columns(digest=pl.lit(""))
    member = make()
    Extraction(
        Noise(damaged=(0,)), records, {member.id: ["all"]}, time.time_ns(), store, CPU, on_bad_sample="skip"
    ).run([member])
    assert [bad.row for bad in find_features(store, member.key, ["all"]).skipped] == [0, 1, 2, 3]


def test_samples_left_out_for_one_network_are_left_out_of_joined_features(store):
    whole, part = make(), make("other")
    extract([whole], 40, store)
    extract([part], 40, store, Noise(damaged=(3, 17)), on_bad_sample="skip")
    joined = JoinedFeatures([found(store, whole, 40), found(store, part, 40)], [3, 17])
    rows = np.delete(np.arange(40), [3, 17])
    X = np.concatenate(list(joined))
    assert joined.dimension == X.shape[1] == 384
    assert (X[:, :192] == read(store, whole, 40)[rows]).all()
    assert (X[:, 192:] == read(store, part, 40)).all()
