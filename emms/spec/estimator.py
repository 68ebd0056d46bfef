"""Estimators and their settings in a spec."""

from __future__ import annotations

import json
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_serializer, model_validator

from emms.errors import printable
from emms.spec.text import Name


class EstimatorSpec(BaseModel):
    """An estimator: its name, or its name and its settings, such as `{name: emms, solver: released}`."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: Name = Field(description="The estimator's name, as listed by `emms estimators`.")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _settings_are_json(self) -> Self:
        # The spec is sent to Prefect and written to run.json as JSON, where infinity would become null.
        for setting, value in self.settings.items():
            try:
                json.dumps(value, allow_nan=False)
            except (TypeError, ValueError, RecursionError) as cause:
                raise ValueError(
                    f"setting '{printable(setting)}' cannot be written as JSON: {cause}; "
                    f"use text, finite numbers, true, false, null, lists and mappings"
                ) from cause
        return self

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments of the estimator's constructor."""
        return dict(self.__pydantic_extra__ or {})

    @property
    def id(self) -> str:
        """The name of this estimator in all outputs."""
        settings = ", ".join(f"{name}={value}" for name, value in sorted(self.settings.items()))
        return printable(f"{self.name}({settings})" if settings else self.name, limit=None)

    @model_serializer
    def _plain(self) -> dict[str, Any]:
        return {"name": self.name, **self.settings}
