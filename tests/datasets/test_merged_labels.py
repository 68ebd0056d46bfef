"""Classes whose names differ only in case."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from emms.datasets.merged_labels import class_key, merged
from emms.downstream.visual_question_answering import VisualQuestionAnswering


def test_the_most_frequent_spelling_names_the_class():
    classes, index, note = merged(
        ["no", "yes", "Yes", "YES", "t shirt", "T-shirt"], np.array([9, 2, 5, 1, 3, 3]), "qa.txt"
    )
    assert classes == ["Yes", "no", "t shirt"]
    assert index.tolist() == [1, 0, 0, 0, 2, 2]
    assert note == (
        "6 labels of 'qa.txt' are merged into 3, since some differ only in case, white space, '_' or '-', such as "
        "'yes' and 'Yes'"
    )


def test_without_a_pair_there_is_no_note():
    classes, index, note = merged(["two", "-1", "1"], np.array([1, 1, 1]), "qa.txt")
    assert (classes, index.tolist(), note) == (["-1", "1", "two"], [2, 0, 1], "")


LABELS = st.lists(st.text("aAbBß_- é", min_size=1).filter(class_key), min_size=1, unique=True)


@given(LABELS, st.data())
def test_laws(labels, data):
    counts = np.array(data.draw(st.lists(st.integers(1, 9), min_size=len(labels), max_size=len(labels))))
    classes, index, _ = merged(labels, counts, "x")
    assert classes == sorted(classes)
    keys = {label: class_key(label) for label in labels}
    assert [keys[classes[i]] for i in index] == list(keys.values())
    assert len(classes) == len(set(keys.values()))
    most = Counter({label: int(count) for label, count in zip(labels, counts, strict=True)})
    for label in labels:
        assert most[classes[index[labels.index(label)]]] >= most[label]
    if len(classes) > 1:
        VisualQuestionAnswering().texts(classes, "{label}")  # no error: label encoders can tell them apart
