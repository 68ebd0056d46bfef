"""Which failures are retried."""

from __future__ import annotations

from typing import Any

import pytest
from prefect.states import Failed

from emms.errors import DamagedError, ModelError, StoreError, UnavailableError, UnreachableError
from tasks.policies import should_retry


@pytest.mark.parametrize(
    ("cause", "again"),
    [
        (UnavailableError("the hub answers 503"), True),
        (StoreError("the bucket is busy"), True),
        (OSError("the connection was reset"), True),
        (UnreachableError("no network"), False),
        (ModelError("no such name"), False),
        (DamagedError("the features are damaged"), False),
    ],
)
def test_transient_failures_are_retried_and_user_errors_are_not(cause, again):
    nothing: Any = None
    assert should_retry(nothing, nothing, Failed(data=cause)) is again
