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
        "flickr-tokens": "emms.datasets.flickr_tokens:FlickrTokens",
        "flickr30k-csv": "emms.datasets.flickr_csv:FlickrCSV",
        "karpathy": "emms.datasets.karpathy:Karpathy",
        "coco-captions": "emms.datasets.coco_captions:CocoCaptions",
        "flickrstyle10k": "emms.datasets.flickrstyle10k:FlickrStyle10K",
        "caption-lines": "emms.datasets.caption_lines:CaptionLines",
        "daquar": "emms.datasets.daquar:DAQUAR",
        "coco-qa": "emms.datasets.coco_qa:CocoQA",
        "clevr": "emms.datasets.clevr:CLEVR",
        "vqa-v2": "emms.datasets.vqa_v2:VQAv2",
        "refcoco": "emms.datasets.refcoco:RefCOCO",
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
