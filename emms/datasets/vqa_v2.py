"""VQA v2: questions about images of COCO."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from emms.datasets.coco_files import CocoFolder
from emms.datasets.json_files import get, items, read_json
from emms.datasets.questions import Question, Questions
from emms.errors import DatasetError
from emms.paths import UserPath

_QUESTIONS = frozenset({"questions", "question_id", "image_id", "question"})
_ANNOTATIONS = frozenset({"annotations", "question_id", "multiple_choice_answer"})


class VQAv2(Questions):
    """JSON of questions, and JSON of answers, of which the most frequent of ten is the label.

    Goyal et al. 2017 (arXiv 1612.00837); the files of VQA v1 have the same form.
    """

    format: Literal["vqa-v2"] = "vqa-v2"
    path: UserPath = Field(description="The file of questions, such as v2_OpenEnded_mscoco_val2014_questions.json.")
    annotations: UserPath = Field(description="The file of answers, such as v2_mscoco_val2014_annotations.json.")
    images: UserPath = Field(description="The folder of COCO's images, or the folder with train2014 and val2014.")

    def read(self) -> Iterator[Question]:
        """Yield the questions, then the answers without a question. Raises DatasetError, with the place, for bad keys.

        An answer without a question is left out, and so is a question without an answer.
        """
        answers = self._answers()
        folder = CocoFolder(self.image_folder)
        asked = set()
        for where, question in items(read_json(self.source, _QUESTIONS), "questions", self.source):
            whole = f"{where} of '{self.source}'"
            number = get(question, "question_id", int, whole)
            if number in asked:
                raise DatasetError(f"{whole} has the id {number} of an earlier question; remove one of the two")
            asked.add(number)
            image, text = get(question, "image_id", int, whole), get(question, "question", str, whole)
            answer = answers.pop(number, None)
            problem = "" if answer else "have no answer"
            yield Question(folder.name(image), text, answer[1] if answer else "", where, problem)
        name = os.path.basename(self.annotations)
        for where, _ in answers.values():
            yield Question("", "", "", f"{where} of {name}", "have no question")

    def _answers(self) -> dict[int, tuple[str, str]]:
        """Return the place of the answer to each question in the file of annotations, and the answer."""
        source = os.path.abspath(self.annotations)
        answers: dict[int, tuple[str, str]] = {}
        for where, annotation in items(read_json(source, _ANNOTATIONS), "annotations", source):
            whole = f"{where} of '{source}'"
            number = get(annotation, "question_id", int, whole)
            if number in answers:
                raise DatasetError(f"{whole} answers question {number} a second time; remove one of the two")
            answers[number] = where, get(annotation, "multiple_choice_answer", str, whole)
        return answers
