"""CoQA: conversations of questions and free-form answers on a passage."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from pydantic import Field

from emms.datasets.annotated import Annotated, Row
from emms.datasets.json_files import get, items, read_json
from emms.downstream.text_question_answering import UNANSWERABLE, TextQuestionAnswering
from emms.errors import DatasetError
from emms.paths import UserPath

_KEYS = frozenset({"data", "id", "story", "questions", "answers", "input_text", "turn_id", "span_start"})
_UNKNOWN = "unknown"


class CoQA(Annotated):
    """CoQA (Reddy, Chen and Manning 2019, arXiv 1808.07042).

    Each question is a sample on its own, without the questions and answers before it. Its label is the free-form
    answer; `unknown` becomes `unanswerable`. `answer_start` is where the evidence for the answer starts in the passage.
    """

    format: Literal["coqa"] = "coqa"
    tasks: ClassVar = frozenset({TextQuestionAnswering.name})
    path: UserPath = Field(description="The JSON file, such as coqa-train-v1.0.json.")

    @property
    def source(self) -> str:
        """Path of the JSON file."""
        return str(self.path)

    def rows(self) -> Iterator[Row]:
        """Yield the questions. Raises DatasetError, with the file and the key, if the file has another format."""
        for place, story in items(read_json(self.path, _KEYS), "data", self.source):
            whole = f"{place} of '{self.source}'"
            id_, passage = get(story, "id", str, whole), get(story, "story", str, whole)
            answers = dict(self._turns(story, "answers", place))
            for turn, (where, question) in self._turns(story, "questions", place):
                if turn not in answers:
                    raise DatasetError(
                        f"{where} of '{self.source}' has turn_id {turn}, which no answer has; check that it is the "
                        f"right file: those of the test set have no answers"
                    )
                answer_place, answer = answers.pop(turn)
                label, start = self._answer(answer_place, answer, passage)
                yield Row(
                    id=f"{id_}/{turn}",
                    label=" ".join(label.split()),
                    where=where,
                    fields={"text": self._text(question, where), "context": passage, "answer_start": start},
                )
            if answers:
                turn, (where, _) = next(iter(answers.items()))
                raise DatasetError(f"{where} of '{self.source}' has turn_id {turn}, which no question has; fix it")

    def _turns(self, story: dict[str, Any], key: str, place: str) -> Iterator[tuple[int, tuple[str, dict[str, Any]]]]:
        """Yield each turn's number, place and content. Raises DatasetError if a number occurs twice."""
        seen = set()
        for where, turn in items(story, key, self.source, place):
            number = get(turn, "turn_id", int, f"{where} of '{self.source}'")
            if number in seen:
                raise DatasetError(f"{where} of '{self.source}' has turn_id {number}, as an earlier one has; fix it")
            seen.add(number)
            yield number, (where, turn)

    def _answer(self, where: str, answer: dict[str, Any], passage: str) -> tuple[str, int]:
        text = self._text(answer, where)
        if text.strip().casefold() == _UNKNOWN:
            return UNANSWERABLE, -1
        start = get(answer, "span_start", int, f"{where} of '{self.source}'")
        return text, start if 0 <= start < len(passage) else -1

    def _text(self, turn: dict[str, Any], where: str) -> str:
        return get(turn, "input_text", str, f"{where} of '{self.source}'")
