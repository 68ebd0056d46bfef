"""Small files of all datasets in benchmarks/paper, laid out as its README says."""

from __future__ import annotations

import copy
import json
import pickle
import shutil
from pathlib import Path

import tiny_networks

from tests.datasets import (
    test_clevr,
    test_coco_qa,
    test_daquar,
    test_flickr_tokens,
    test_flickrstyle10k,
    test_karpathy,
    test_refcoco,
    test_squad,
    test_torchvision,
)
from tests.datasets.readers import pictures

ENCODERS = {"vit": "vit", "swinvit": "swin", "swin2vit": "swinv2"}


def lay_out(data: Path) -> None:
    """Write all datasets and captioners into the folder `data`."""
    data.mkdir()
    _classification(data)
    _captions(data)
    _questions_about_images(data)
    _expressions(data / "refer")
    _questions_about_passages(data / "squad")
    for encoder, kind in ENCODERS.items():
        for decoder in ("bert", "roberta", "bart"):
            tiny_networks.build_captioner(data / "captioners" / f"{encoder}_{decoder}", kind, decoder)


def _classification(data: Path) -> None:
    for make, *_ in test_torchvision.DATASETS.values():
        make(data)
    test_torchvision.cifar100(data)
    shutil.copy(data / "cifar-100-python" / "test", data / "cifar-100-python" / "train")


def _captions(data: Path) -> None:
    flickr8k = [line.split(b"#")[0].decode() for line in test_flickr_tokens.TOKENS.splitlines()]
    pictures(data / "flickr8k" / "Flicker8k_Dataset", *flickr8k)
    (data / "flickr8k" / "Flickr8k.token.txt").write_bytes(test_flickr_tokens.TOKENS)
    pictures(data / "flickr30k" / "flickr30k-images", "1000092795.jpg", "10002456.jpg", *_in_flickr30k())
    (data / "flickr30k" / "results_20130124.token").write_text(
        "1000092795.jpg#0\tTwo young guys look at their hands .\n10002456.jpg#0\tSeveral men operate a pulley .\n"
    )
    images = [image["filename"] for image in test_karpathy.FLICKR8K["images"]]
    pictures(data / "rsicd" / "RSICD_images", *images)
    (data / "rsicd" / "dataset_rsicd.json").write_text(json.dumps(test_karpathy.FLICKR8K))
    (data / "FlickrStyle_v0.9").mkdir()
    test_flickrstyle10k.folder_of(data / "FlickrStyle_v0.9")
    shutil.rmtree(data / "FlickrStyle_v0.9" / "images")  # they are those of Flickr30k
    romantic = data / "FlickrStyle_v0.9" / "romantic" / "romantic_train.txt"
    romantic.write_text("A man climbs towards his love .\nTwo dogs kiss .\nA boy dreams of a girl .\n")


def _in_flickr30k() -> list[str]:
    return [f"{name.partition('_')[0]}.jpg" for name in test_flickrstyle10k.NAMES]


def _questions_about_images(data: Path) -> None:
    pictures(data / "daquar" / "nyu_depth_images", "image3.png", "image10.png")
    (data / "daquar" / "qa.894.raw.train.txt").write_bytes(test_daquar.CONTENT)
    pictures(data / "coco", *test_coco_qa.IMAGES)
    (data / "cocoqa" / "train").mkdir(parents=True)
    for name, content in test_coco_qa.FILES.items():
        (data / "cocoqa" / "train" / name).write_bytes(content)
    questions = json.dumps(test_clevr.CONTENT).replace("CLEVR_val", "CLEVR_train")
    pictures(data / "CLEVR_v1.0" / "images" / "train", *(i.replace("val", "train") for i in test_clevr.IMAGES))
    (data / "CLEVR_v1.0" / "questions").mkdir()
    (data / "CLEVR_v1.0" / "questions" / "CLEVR_train_questions.json").write_text(questions)


def _expressions(refer: Path) -> None:
    pictures(refer.parent / "coco" / "train2014", *test_refcoco.IMAGES)
    for folder, split_by in [("refcoco", "unc"), ("refcoco+", "unc"), ("refcocog", "umd")]:
        (refer / folder).mkdir(parents=True)
        (refer / folder / f"refs({split_by}).p").write_bytes(pickle.dumps(copy.deepcopy(test_refcoco.REFS), 2))
        (refer / folder / "instances.json").write_text(json.dumps(test_refcoco.INSTANCES))


def _questions_about_passages(squad: Path) -> None:
    squad.mkdir()
    when = test_squad.question("1", "When?")
    what = test_squad.question("2", "What?", [{"text": "It", "answer_start": test_squad.CONTEXT.index("It")}])
    unanswerable = test_squad.question("3", "Who?", [], is_impossible=True)
    test_squad.write(squad / "train-v1.1.json", when, what, version="1.1")
    test_squad.write(squad / "train-v2.0.json", when, what, unanswerable)
