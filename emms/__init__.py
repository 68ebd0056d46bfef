"""EMMS: rank pre-trained networks for a dataset without fine-tuning them (Meng et al., NeurIPS 2023).

`emms.rank("spec.yaml")` ranks the candidates of a spec. An estimator alone takes features X (N, D1), label embeddings
Z (C, D2) of the classes, and class indices y (N,):

>>> import emms, numpy as np
>>> rng, y = np.random.default_rng(0), np.arange(200) % 4
>>> Z = rng.standard_normal((4, 8))
>>> X = Z[y] @ rng.standard_normal((8, 16)) + rng.standard_normal((200, 16))
>>> round(emms.EMMSDecoded().fit(X, Z, y).score_, 2)
0.99
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emms.errors import EMMSError
    from emms.estimators.emms import EMMS, EMMSCV
    from emms.estimators.emms_decoded import EMMSDecoded
    from emms.estimators.logme import LogME
    from emms.evaluation import evaluate
    from emms.results.ranking import Ranking
    from emms.run.rank import rank
    from emms.spec import Spec

__version__ = version("emms")

# Imported on first access, so that using an estimator alone does not import torch.
_MODULES = {
    "EMMS": "emms.estimators.emms",
    "EMMSCV": "emms.estimators.emms",
    "EMMSDecoded": "emms.estimators.emms_decoded",
    "EMMSError": "emms.errors",
    "LogME": "emms.estimators.logme",
    "Ranking": "emms.results.ranking",
    "Spec": "emms.spec",
    "evaluate": "emms.evaluation",
    "rank": "emms.run.rank",
}

__all__ = ["EMMS", "EMMSCV", "EMMSDecoded", "EMMSError", "LogME", "Ranking", "Spec", "evaluate", "rank"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'emms' has no attribute '{name}'")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
