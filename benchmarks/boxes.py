"""How much of a box's position a regression reads back from each label encoder's embedding of the box as text.

    python -m benchmarks.boxes [--boxes N]

Boxes are random: from a twentieth to nine tenths of the image wide and high, anywhere in it. The text is the box
alone, or an expression with the box, as in the labels of referring expressions. A ridge regression on standardised
embeddings predicts the centre (x, y) and the size (width, height); R2 is that of samples held out in five folds, the
mean of two numbers each. The penalty is chosen on the training folds.

Measured last with 3,000 boxes, R2 of centre and size: all-minilm-l6-v2 0.55 and 0.30 (with expression 0.51 and 0.28),
glove-6b-50d 0.46 and 0.14 (0.45 and 0.14), an untrained BERT of 4 layers 0.33 and 0.16 (0.34 and 0.15), boxes:fourier
1.00 and 1.00. So boxes:fourier is the default label encoder of referring expressions.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from emms.downstream.boxes import Box, box_label
from emms.labels import LabelEncoder
from emms.labels.boxes import BoxEncoder, centres_and_sizes
from emms.labels.packaged import PackagedEncoder
from emms.labels.text_encoder import FolderTextEncoder

COLOURS, SHAPES = ["red", "green", "blue", "yellow", "white"], ["circle", "square", "dog", "car", "person"]


def random_boxes(n: int, rng: np.random.Generator) -> list[Box]:
    size = rng.uniform(0.05, 0.9, (n, 2))
    corner = rng.uniform(0, 1 - size)
    edges = np.floor(1000 * np.hstack([corner, corner + size])).astype(int)
    return [Box(*row) for row in edges.tolist()]


def untrained_bert(folder: str) -> LabelEncoder:
    """BERT of four layers with random weights, and the vocabulary of MiniLM."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertModel

    tokenizer = AutoTokenizer.from_pretrained(PackagedEncoder("all-minilm-l6-v2")._encoder.folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=256, num_hidden_layers=4, num_attention_heads=4, intermediate_size=1024
    )
    BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return FolderTextEncoder(folder)


def read_back(embeddings: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the R2 of held-out samples, one per target."""
    ridge = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 4, 13)))
    predicted = cross_val_predict(ridge, embeddings, targets, cv=KFold(5, shuffle=True, random_state=0))
    return 1 - ((predicted - targets) ** 2).sum(axis=0) / ((targets - targets.mean(axis=0)) ** 2).sum(axis=0)


def measure(console: Console, encoders: Mapping[str, LabelEncoder], n: int) -> None:
    rng = np.random.default_rng(0)
    boxes = random_boxes(n, rng)
    words = [f"the {rng.choice(COLOURS)} {rng.choice(SHAPES)}" for _ in boxes]
    targets = centres_and_sizes(boxes)
    table = Table(
        "encoder", "width", "centre", "size", "centre", "size", title=f"R2, {n:,} boxes: alone | with expression"
    )
    for name, encoder in encoders.items():
        cells = []
        for texts in (
            [box_label("", box) for box in boxes],
            [box_label(w, b) for w, b in zip(words, boxes, strict=True)],
        ):
            embeddings = encoder.encode(texts).astype(np.float64)
            r2 = read_back(embeddings, targets)
            cells += [f"{r2[:2].mean():.3f}", f"{r2[2:].mean():.3f}"]
        table.add_row(name, str(embeddings.shape[1]), *cells)
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--boxes", type=int, default=3_000, metavar="N", help="number of boxes")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        encoders = {
            "packaged:all-minilm-l6-v2": PackagedEncoder("all-minilm-l6-v2"),
            "packaged:glove-6b-50d": PackagedEncoder("glove-6b-50d"),
            "BERT of 4 layers, untrained": untrained_bert(folder),
            "boxes:fourier": BoxEncoder("fourier"),
        }
        measure(Console(width=120), encoders, arguments.boxes)


if __name__ == "__main__":
    main()
