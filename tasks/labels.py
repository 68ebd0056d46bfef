"""The labels, embedded."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from emms.datasets.prepare import Prepared
from emms.run import stages
from emms.run.references import Embedded
from emms.spec import EncoderSpec, Spec
from tasks.policies import RESULTS, RETRIES


@task(
    task_run_name="embed labels by {encoder.id}",
    tags=["emms-embed"],
    timeout_seconds=6 * 3600,
    cache_policy=NO_CACHE,
    **RETRIES,
    **RESULTS,
)
def embed_labels(spec: Spec, encoder: EncoderSpec, dataset: Prepared) -> Embedded:
    """Embed the labels' texts with one encoder."""
    return stages.embed_label_texts(spec, encoder, dataset)
