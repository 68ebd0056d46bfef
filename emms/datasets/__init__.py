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
        "squad": "emms.datasets.squad:Squad",
        "coqa": "emms.datasets.coqa:CoQA",
        "text-table": "emms.datasets.text_table:TextTable",
        "textfolder": "emms.datasets.textfolder:TextFolder",
        "jsonl": "emms.datasets.jsonl:JsonLines",
        "huggingface": "emms.datasets.huggingface:HuggingFace",
        "torchvision": "emms.datasets.torchvision:Torchvision",
    },
    DatasetError,
)

__all__ = ["FORMATS", "Dataset", "Listing", "Sample"]
