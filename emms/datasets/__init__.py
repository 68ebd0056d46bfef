"""Datasets: one format per file."""

from emms.datasets.base import Dataset, Listing, Sample
from emms.errors import DatasetError
from emms.registry import Registry

FORMATS: Registry[type[Dataset]] = Registry(
    "dataset format",
    "emms.datasets",
    Dataset,
    {
        "imagefolder": "emms.datasets.imagefolder:ImageFolder",
        "parquet": "emms.datasets.parquet:ParquetImages",
        "fashion-mnist": "emms.datasets.idx:FashionMNIST",
        "digits": "emms.datasets.digits:Digits",
        "scenes": "emms.datasets.scenes:Scenes",
    },
    DatasetError,
)

__all__ = ["FORMATS", "Dataset", "Listing", "Sample"]
