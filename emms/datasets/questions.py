"""Base class of formats of questions about images."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar, NamedTuple

import numpy as np
import polars as pl
from pydantic import Field

from emms.datasets.annotated import AnnotatedImages, Row
from emms.datasets.base import Listing
from emms.downstream.visual_question_answering import VisualQuestionAnswering


class Question(NamedTuple):
    """A question as the annotations have it."""

    image: str
    """Path of the image, relative to the folder of images."""
    text: str
    answer: str
    where: str
    """Its place in the annotations for messages, such as `line 12`."""
    problem: str = ""
    """Why it is left out, as in `Row`."""


class Questions(AnnotatedImages):
    """Base class of formats of questions about images. Subclasses yield `read`."""

    tasks: ClassVar = frozenset({VisualQuestionAnswering.name})

    top_answers: int | None = Field(
        None,
        ge=2,
        description="Only the samples with this many most frequent answers are used. The default is all of them.",
    )

    @abstractmethod
    def read(self) -> Iterator[Question]:
        """Yield the questions in the order of the annotations.

        Raises DatasetError, with the file and the line or key, if the annotations cannot be read.
        """

    def rows(self) -> Iterator[Row]:
        """Yield the questions. Their ids are the image and the number among the questions about it, from 0."""
        numbers = Counter[str]()
        for image, text, answer, where, problem in self.read():
            fields = {"text": " ".join(text.split())}
            yield Row(f"{image}#{numbers[image]}", " ".join(answer.split()), where, image, fields, problem)
            numbers[image] += 1

    def listing(self) -> Listing:
        """List the samples, or those with the most frequent answers. Samples that are left out are counted in notes."""
        listing = super().listing()
        return listing if self.top_answers is None else most_frequent(listing, self.top_answers)


def most_frequent(listing: Listing, count: int) -> Listing:
    """Return the samples with the most frequent labels, with a note about the others.

    Of equally frequent labels, the first ones are kept.
    """
    labels = listing.samples["label"].to_numpy()
    frequency = np.bincount(labels, minlength=len(listing.labels))
    kept = np.sort(np.argsort(-frequency, kind="stable")[:count])
    index = np.full(len(listing.labels), -1, dtype=np.int32)
    index[kept] = np.arange(len(kept))
    samples = listing.samples.with_columns(label=pl.Series(index[labels], dtype=pl.Int32)).filter(pl.col("label") >= 0)
    left_out = len(labels) - len(samples)
    if not left_out:
        return listing
    note = (
        f"{left_out} of {len(labels)} samples are left out, since their answers are not among the {count} most "
        f"frequent ones (`top_answers`)"
    )
    return replace(listing, samples=samples, labels=[listing.labels[i] for i in kept], notes=[*listing.notes, note])
