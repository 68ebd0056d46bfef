"""The spec of `emms demo`: trained networks and untrained controls, on images that are part of scikit-learn."""

from __future__ import annotations

from pathlib import Path

from emms.spec import Spec, load_spec

MODELS = (
    "packaged:efficientnet-lite0",
    "packaged:efficientnet-lite0@blocks.4",
    "packaged:efficientnet-lite1",
    "packaged:efficientnet-lite1@blocks.4",
    "packaged:efficientnet-lite2",
    "packaged:efficientnet-lite2@blocks.4",
    {"source": "timm", "name": "tf_efficientnet_lite0", "pretrained": False},
    {"source": "timm", "name": "mobilenetv3_small_100", "pretrained": False},
    {"source": "timm", "name": "resnet10t", "pretrained": False},
)


def demo_spec(store: str, output: Path, device: str) -> Spec:
    """Return the spec of the demo: nine candidates on scikit-learn's 1,797 digits, labels by MiniLM and GloVe."""
    return load_spec(
        {
            "dataset": {"format": "digits"},
            "models": MODELS,
            "label_encoders": ["packaged:all-minilm-l6-v2", "packaged:glove-6b-50d"],
            "label_template": "a photo of the number {label}",
            "estimators": ["emms-decoded", "emms", "logme"],
            "store": store,
            "output": str(output),
            "device": device,
        }
    )
