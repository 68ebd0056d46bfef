"""What a run is asked to do: the spec and the YAML file that holds it."""

from emms.spec.ranking_spec import AnyDataset, EncoderSpec, EstimatorSpec, ModelSpec, Spec

__all__ = ["AnyDataset", "EncoderSpec", "EstimatorSpec", "ModelSpec", "Spec"]
