"""SQuAD 1.1 and 2.0: questions on passages of Wikipedia, with answers that are parts of the passage."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from pydantic import Field

from emms.datasets.annotated import Annotated, Row
from emms.datasets.json_files import get, items, read_json
from emms.downstream.text_question_answering import UNANSWERABLE, TextQuestionAnswering
from emms.errors import DatasetError
from emms.paths import UserPath

_KEYS = frozenset(
    {"data", "paragraphs", "context", "qas", "question", "id", "answers", "text", "answer_start", "is_impossible"}
)


class Squad(Annotated):
    """SQuAD 1.1 (Rajpurkar et al. 2016, arXiv 1606.05250) and 2.0 (Rajpurkar, Jia and Liang 2018, arXiv 1806.03822).

    The label of a question with several answers is the first one, that of one without an answer is `unanswerable`.
    """

    format: Literal["squad"] = "squad"
    tasks: ClassVar = frozenset({TextQuestionAnswering.name})
    path: UserPath = Field(description="The JSON file, such as train-v2.0.json.")

    @property
    def source(self) -> str:
        """Path of the JSON file."""
        return str(self.path)

    def rows(self) -> Iterator[Row]:
        """Yield the questions. Raises DatasetError, with the file and the key, if the file has another format."""
        for article, content in items(read_json(self.path, _KEYS), "data", self.source):
            for place, paragraph in items(content, "paragraphs", self.source, article):
                context = get(paragraph, "context", str, f"{place} of '{self.source}'")
                for where, question in items(paragraph, "qas", self.source, place):
                    yield self._row(where, question, context)

    def _row(self, where: str, question: dict[str, Any], context: str) -> Row:
        whole = f"{where} of '{self.source}'"
        text, id_ = get(question, "question", str, whole), get(question, "id", str, whole)
        answer, start = self._answer(where, question, context)
        return Row(
            id=id_,
            label=" ".join(answer.split()),
            where=where,
            fields={"text": text, "context": context, "answer_start": start},
            remark=WRONG_START if start < 0 and answer not in {UNANSWERABLE, ""} else "",
        )

    def _answer(self, where: str, question: dict[str, Any], context: str) -> tuple[str, int]:
        """Return the first answer and where it starts; a blank one if a question lacks answers for no stated reason."""
        impossible = question.get("is_impossible", False)
        if not isinstance(impossible, bool):
            raise DatasetError(f"{where} of '{self.source}' has an `is_impossible` that is not true or false; fix it")
        if impossible:
            return UNANSWERABLE, -1
        for place, answer in items(question, "answers", self.source, where):
            whole = f"{place} of '{self.source}'"
            text = get(answer, "text", str, whole)
            return text, start_of(text, get(answer, "answer_start", int, whole), context)
        return "", -1


WRONG_START = "have an `answer_start` at which the passage does not have the answer, so that its place is unknown"


def start_of(answer: str, stated: int, context: str) -> int:
    """Return where an answer starts, without white space in front of it; -1 if the stated start is wrong."""
    if stated < 0 or not context.startswith(answer, stated):
        return -1
    return stated + len(answer) - len(answer.lstrip())
