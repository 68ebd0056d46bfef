"""Label encoders: from the texts of labels to label embeddings."""

from emms.errors import LabelEncoderError
from emms.labels.base import LabelEncoder
from emms.registry import Registry

ENCODERS: Registry[type[LabelEncoder]] = Registry(
    "source of label encoders",
    "emms.label_encoders",
    LabelEncoder,
    {
        "packaged": "emms.labels.packaged:PackagedEncoder",
        "hf": "emms.labels.text_encoder:HubTextEncoder",
        "folder": "emms.labels.text_encoder:FolderTextEncoder",
        "boxes": "emms.labels.boxes:BoxEncoder",
    },
    LabelEncoderError,
)

__all__ = ["ENCODERS", "LabelEncoder"]
