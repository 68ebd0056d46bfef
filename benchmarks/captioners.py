"""What a captioner's features tell: of the image, or of the caption that its decoder has read.

    python -m benchmarks.captioners [--samples 400] [--training 800] [--epochs 12]

A captioner (vision encoder-decoder) gives features in two ways. `features: decoder` is teacher forcing, as in Meng et
al. 2023: the decoder reads the sample's own caption, which is the label to explain. `features: encoder` is the image
alone. Here each captioner is scored by `emms-decoded` on generated scenes with the right images, and with the image of
another sample. What the score keeps with the wrong images has not come from the image.

No captioner is on PyPI, so these are built here: a small ViT and a small BERT with random weights; the same after some
minutes of training on other scenes; and the small ViT with MiniLM, whose weights are real, as decoder. Cross-attention
is random in the first and the last.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from rich.console import Console
from rich.table import Table
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertLMHeadModel,
    VisionEncoderDecoderModel,
    ViTConfig,
    ViTImageProcessor,
    ViTModel,
)

from emms import text_packages
from emms.datasets.scenes import Scenes
from emms.downstream.image_captioning import CaptionedImage
from emms.estimators.emms_decoded import EMMSDecoded
from emms.labels import ENCODERS
from emms.models import candidate
from emms.spec.model import ModelSpec

SIDE, WIDTH, BATCH = 96, 128, 32
MINILM = "all-minilm-l6-v2"


def main() -> None:
    """Build the captioners, and print their scores."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--samples", type=int, default=400)
    parser.add_argument("--training", type=int, default=800)
    parser.add_argument("--epochs", type=int, default=12)
    options = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    paths = text_packages.PACKAGES[MINILM].paths()
    assert paths, "pip install the package of MiniLM"
    tokenizer = AutoTokenizer.from_pretrained(paths[0])
    samples = _samples(options.samples, seed=0)
    labels = ENCODERS.get("packaged")(MINILM).encode([sample.caption for sample in samples])
    table = Table("captioner", "features", "right images", "shuffled images")
    for name, network in (
        ("untrained", _captioner(tokenizer, _small_bert(tokenizer))),
        ("trained", _trained(_captioner(tokenizer, _small_bert(tokenizer)), tokenizer, options)),
        ("MiniLM as decoder", _captioner(tokenizer, _minilm(paths[0]))),
    ):
        for part in ("decoder", "encoder"):
            scores = [_score(network, tokenizer, part, some, labels) for some in (samples, _shuffled(samples))]
            table.add_row(name, part, *(f"{score:.3f}" for score in scores))
    Console().print(table)


def _samples(count: int, seed: int) -> list[Any]:
    dataset = Scenes(task="image-captioning", n=count, seed=seed)
    return [dataset.load(record) for record in dataset.listing().samples.iter_rows(named=True)]


def _shuffled(samples: Sequence[CaptionedImage]) -> list[CaptionedImage]:
    """Return the samples, each with the image of another one."""
    images = [sample.image for sample in (*samples[1:], samples[0])]
    return [replace(sample, image=image) for sample, image in zip(samples, images, strict=True)]


def _small_bert(tokenizer: Any) -> BertLMHeadModel:
    torch.manual_seed(1)
    sizes = {"hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 4 * WIDTH}
    return BertLMHeadModel(BertConfig(vocab_size=len(tokenizer), **sizes, is_decoder=True, add_cross_attention=True))


def _minilm(folder: Path) -> BertLMHeadModel:
    torch.manual_seed(1)
    return BertLMHeadModel.from_pretrained(folder, is_decoder=True, add_cross_attention=True)


def _captioner(tokenizer: Any, decoder: BertLMHeadModel) -> VisionEncoderDecoderModel:
    torch.manual_seed(0)
    sizes = {"hidden_size": WIDTH, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 4 * WIDTH}
    encoder = ViTModel(ViTConfig(image_size=SIDE, patch_size=12, **sizes), add_pooling_layer=False)
    network = VisionEncoderDecoderModel(encoder=encoder, decoder=decoder)
    network.config.decoder_start_token_id, network.config.pad_token_id = tokenizer.cls_token_id, tokenizer.pad_token_id
    return network


def _trained(network: VisionEncoderDecoderModel, tokenizer: Any, options: argparse.Namespace) -> Any:
    """Return the captioner after training on scenes of another seed; print the last loss."""
    samples, started = _samples(options.training, seed=1), time.process_time()
    processor = _processor()
    pixels = processor(images=[sample.image for sample in samples], return_tensors="pt")["pixel_values"]
    ids = tokenizer([sample.caption for sample in samples], padding=True, return_tensors="pt")
    labels = ids["input_ids"].masked_fill(ids["attention_mask"] == 0, -100)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.05)
    steps = options.epochs * (len(samples) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=steps)
    network.train()
    for _ in range(options.epochs):
        for rows in torch.randperm(len(samples))[: len(samples) // BATCH * BATCH].split(BATCH):
            loss = network(pixel_values=pixels[rows], labels=labels[rows]).loss
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    print(f"trained for {time.process_time() - started:.0f} s of CPU time, last loss {loss.item():.2f}")
    return network.eval()


def _processor() -> ViTImageProcessor:
    return ViTImageProcessor(size={"height": SIDE, "width": SIDE})


def _score(network: Any, tokenizer: Any, part: str, samples: Sequence[CaptionedImage], labels: np.ndarray) -> float:
    """Return the score of a captioner's features, computed as a run does: from a folder."""
    with tempfile.TemporaryDirectory() as folder:
        for saved in (network, tokenizer, _processor()):
            saved.save_pretrained(folder)
        spec = ModelSpec(source="folder", name=folder, features=part)
        one = candidate(spec, None, frozenset({"image", "caption"}))
        one.check()
        forward, inputs, features = one.load(torch.device("cpu")), [one.prepare(sample) for sample in samples], []
        with torch.inference_mode():
            for start in range(0, len(inputs), BATCH):
                batch = inputs[start : start + BATCH]
                features.append(forward(batch if one.ragged else np.stack(batch), one.views())[0].numpy())
    return (
        EMMSDecoded()
        .fit_batches([np.concatenate(features)], labels[..., None], np.arange(len(labels)), classes=False)
        .score_
    )


if __name__ == "__main__":
    main()
