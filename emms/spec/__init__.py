"""The spec of a run: its parts, and reading it from a YAML file."""

from emms.spec.dataset import AnyDataset
from emms.spec.encoder import EncoderSpec
from emms.spec.estimator import EstimatorSpec
from emms.spec.load import load_spec
from emms.spec.model import ModelSpec
from emms.spec.spec import Spec

__all__ = ["AnyDataset", "EncoderSpec", "EstimatorSpec", "ModelSpec", "Spec", "load_spec"]
