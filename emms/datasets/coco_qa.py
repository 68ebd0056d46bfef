"""COCO-QA: questions made from captions of COCO."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from emms.datasets.coco_files import CocoFolder
from emms.datasets.questions import Question, Questions
from emms.datasets.text_files import lines
from emms.errors import DatasetError, printable
from emms.paths import UserPath

_FILES = ("questions.txt", "answers.txt", "img_ids.txt", "types.txt")


class CocoQA(Questions):
    """Files with one line per question: questions.txt, answers.txt, img_ids.txt, types.txt (Ren et al. 2015)."""

    format: Literal["coco-qa"] = "coco-qa"
    path: UserPath = Field(description="The folder of the four files of a split, such as cocoqa/train.")
    images: UserPath = Field(description="The folder of COCO's images, or the folder with train2014 and val2014.")

    def read(self) -> Iterator[Question]:
        """Yield the questions. Raises DatasetError if the files have different numbers of lines, or for a wrong id."""
        questions, answers, ids, types = (self._lines(name) for name in _FILES)
        if len({len(questions), len(answers), len(ids), len(types)}) > 1:
            counts = ", ".join(f"{name} {len(self._lines(name))}" for name in _FILES)
            raise DatasetError(f"files in '{self.source}' differ in lines ({counts}); use files of one split")
        folder = CocoFolder(self.image_folder)
        for number, (question, answer, image) in enumerate(zip(questions, answers, ids, strict=True), 1):
            if not (image.strip().isascii() and image.strip().isdigit() and len(image.strip()) <= 12):
                raise DatasetError(
                    f"line {number} of '{self.source}/img_ids.txt' is '{printable(image, 60)}', not the id of an "
                    f"image; fix it"
                )
            yield Question(folder.name(int(image)), question, answer, f"line {number}")

    def _lines(self, name: str) -> list[str]:
        content = [line for _, line in lines(os.path.join(self.source, name))]
        while content and not content[-1].strip():
            content.pop()
        return content
