"""What is tried again, and what is not."""

from __future__ import annotations

from typing import Any

import pytest
from prefect.states import Failed

from emms.errors import ModelError, StoreError, UnavailableError, UnreachableError
from tasks.policies import may_pass


@pytest.mark.parametrize(
    ("cause", "again"),
    [
        (UnavailableError("the hub answers 503"), True),
        (StoreError("the bucket is busy"), True),
        (OSError("the connection was reset"), True),
        (UnreachableError("no network"), False),
        (ModelError("no such name"), False),
    ],
)
def test_what_may_pass_is_tried_again_and_what_a_user_must_mend_is_not(cause, again):
    nothing: Any = None
    assert may_pass(nothing, nothing, Failed(data=cause)) is again
