"""A new stage and a new walk, as in CONTRIBUTING: every executor can carry them out."""

from __future__ import annotations

from typing import ClassVar

import polars as pl
import pytest
from prefect import flow

from emms.datasets.samples import Samples
from emms.errors import EstimatorError
from emms.run.dry_run import DryRun, Step
from emms.run.executor import Executor, Inline
from emms.run.stage import Reference, Stage, Workspace
from emms.run.stages import LIST
from emms.spec import load_spec
from emms.store import Key, Meta, Store
from tasks.executor import PrefectExecutor


class CountsMeta(Meta):
    largest: int


class CountsKey(Key):
    kind: ClassVar[str] = "counts"
    version: ClassVar[int] = 1
    meta: ClassVar[type[Meta]] = CountsMeta

    samples: str

    def file_names(self):
        return ("counts.parquet",)


class Counted(Reference):
    """The number of samples of each label."""

    key: CountsKey
    largest: int = 0

    def artifacts(self, store):
        return (self.key,)


def refer(run: Workspace, samples: Samples) -> Counted:
    return Counted(key=CountsKey(samples=samples.fingerprint))


def count(run: Workspace, samples: Samples) -> Counted:
    reference = refer(run, samples)
    found = run.store.find(reference.key)
    if found is None:
        counts = samples.table(run.store).group_by("label").len()
        if counts["len"].max() > 8:
            raise EstimatorError("a class has more than eight samples")
        with run.store.create(reference.key) as draft:
            draft.table("counts.parquet", counts.to_arrow())
            draft.meta = CountsMeta(largest=int(counts["len"].max()))
        found = run.store.find(reference.key)
        return reference.model_copy(update={"largest": found.meta.largest})
    return reference.model_copy(update={"largest": found.meta.largest, "computed": False})


COUNT = Stage(name="counts", verb="count labels of", of=lambda run, _: run.spec.dataset.name, refer=refer, make=count)


def count_labels(do: Executor) -> int:
    """Count the samples of each label; return the largest number."""
    with do.phase("dataset"):
        samples = do.one(LIST).samples
    with do.phase("counts"):
        return do.one(COUNT, samples).largest


@pytest.fixture
def workspace(settings):
    spec = load_spec(settings)
    return Workspace(spec, Store(spec.store))


def test_inline_and_dry(workspace):
    dry = DryRun(workspace)
    count_labels(dry)
    assert dry.steps == [
        Step("dataset", "photos", "24 samples, 3 classes"),
        Step("counts", "photos", "to compute"),
    ]
    do = Inline(workspace)
    assert count_labels(do) == 8
    assert do.computed["counts"] == ["photos"]
    again = Inline(workspace)
    assert count_labels(again) == 8
    assert again.computed["counts"] == []
    dry = DryRun(workspace)
    count_labels(dry)
    assert dry.steps[1].state == "in the store"
    (path,) = [path for path in workspace.store.fs.find(workspace.store.root) if "counts-" in path]
    assert pl.read_parquet(path)["len"].to_list() == [8, 8, 8]


@pytest.mark.usefixtures("prefect_server")
def test_as_a_flow(workspace, photos):
    @flow(name="count-labels", result_serializer="json")
    def counting() -> int:
        return count_labels(PrefectExecutor(workspace))

    assert counting() == 8
    assert counting() == 8
    (photos / "apple" / "more.png").write_bytes((photos / "apple" / "1.png").read_bytes())
    with pytest.raises(EstimatorError, match="more than eight"):
        counting()
