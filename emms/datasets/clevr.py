"""CLEVR: questions about rendered objects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from emms.datasets.json_files import get, items, read_json
from emms.datasets.questions import Question, Questions
from emms.errors import DatasetError
from emms.paths import UserPath

_KEYS = frozenset({"questions", "image_filename", "question", "answer"})


class CLEVR(Questions):
    """JSON with a list of questions (Johnson et al. 2017, arXiv 1612.06890)."""

    format: Literal["clevr"] = "clevr"
    path: UserPath = Field(description="The file of questions, such as CLEVR_val_questions.json.")
    images: UserPath = Field(description="The folder of the split's images, such as images/val.")

    def read(self) -> Iterator[Question]:
        """Yield the questions. Raises DatasetError, with the place, if a key is missing."""
        for where, question in items(read_json(self.source, _KEYS), "questions", self.source):
            whole = f"{where} of '{self.source}'"
            if "answer" not in question:
                raise DatasetError(f"{whole} has no key 'answer'; CLEVR publishes none for its test split, use another")
            yield Question(
                get(question, "image_filename", str, whole),
                get(question, "question", str, whole),
                get(question, "answer", str, whole),
                where,
            )
