"""DAQUAR: questions about indoor scenes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from emms.datasets.questions import Question, Questions
from emms.datasets.text_files import lines
from emms.errors import DatasetError, printable
from emms.paths import UserPath

# The lookbehind makes the search linear in the length of a line.
_IMAGE = re.compile(r"(?<!\W)\W*(?:\b(?:in|on|of)\s+)?(?:\b(?:the|this)\s+)?\bimage\s*(\d{1,9})[\s?]*\Z", re.IGNORECASE)


class DAQUAR(Questions):
    """A line with a question such as `what is on the table in the image3 ?`, then a line with its answers, `lamp, cup`.

    Malinowski and Fritz 2014 (arXiv 1410.0210). The end of the question, which names the file `image3.png`, is
    removed. Several answers are one label, in alphabetical order.
    """

    format: Literal["daquar"] = "daquar"
    path: UserPath = Field(description="The file of questions and answers, such as qa.894.raw.train.txt.")
    images: UserPath = Field(description="The folder of the images image1.png, image2.png, ….")

    def read(self) -> Iterator[Question]:
        """Yield the questions. Raises DatasetError, with the line, for an answer without a question."""
        question: Question | None = None
        for number, line in lines(self.source):
            text = line.strip()
            if not text:
                continue
            found = _IMAGE.search(text)
            if found:
                if question:
                    yield question._replace(problem="have no answer")
                asked = text[: found.start()]
                image = f"image{int(found[1])}.png"
                question = Question(image, f"{asked} ?" if asked else "", "", f"line {number}")
            elif question:
                yield question._replace(answer=_joined(line))
                question = None
            else:
                raise DatasetError(
                    f"line {number} of '{self.source}' is '{printable(line, 60)}', not a question that ends with an "
                    f"image such as `in the image3 ?`; check that it is the right file"
                )
        if question:
            yield question._replace(problem="have no answer")


def _joined(line: str) -> str:
    answers = {answer.casefold(): answer for part in line.split(",") if (answer := " ".join(part.split()))}
    return ", ".join(answers[key] for key in sorted(answers))
