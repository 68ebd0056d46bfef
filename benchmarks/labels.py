"""Label embeddings of many captions by three encoders: peak memory, and the time beside the forward passes.

    python -m benchmarks.labels [--captions 10000 100000] [--tiny]

Each number of captions is a process of its own, which embeds the captions into a new store, reads the embeddings of all
encoders reduced to a common width, and adds up the moments of random features in five folds (which is done for each
candidate), as a run does. Captions of 8 to 25 words come from a grammar. The encoders are MiniLM, GloVe, and a BERT of
one layer with random weights. With `--tiny`, a second such BERT, as wide as MiniLM, takes its place: it is some thirty
times as fast, which is enough to see how memory grows.

Forward passes are those of the networks, and GloVe's look-ups. Beside them are tokenisation, sorting, files, the
common width, and what loads the weights.

RESULTS
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

FEATURES, BATCH = 512, 2_048
SUBJECTS = [
    "a man",
    "two women",
    "a small child",
    "an old dog",
    "three birds",
    "a brown horse",
    "a cyclist",
    "some people",
]
VERBS = ["walking", "standing", "sitting", "running", "playing", "looking", "resting", "waiting", "jumping", "talking"]
PLACES = [
    "on a beach",
    "in a park",
    "beside a red car",
    "under a tree",
    "near the river",
    "at a busy market",
    "on a roof",
]
DETAILS = [
    "with a blue umbrella",
    "while it rains",
    "in the early morning",
    "holding a wooden stick",
    "and a white fence",
]
ADVERBS = ["slowly", "happily", "quietly", "together", "alone", "eagerly", "again", "today"]


def captions(n: int) -> list[str]:
    """Return n captions of 8 to 25 words, almost all of them different."""
    rng, parts = np.random.default_rng(0), []
    for _ in range(n):
        phrases = [rng.choice(SUBJECTS), rng.choice(VERBS), rng.choice(ADVERBS), rng.choice(PLACES)]
        for options in [DETAILS, PLACES, DETAILS, ADVERBS, DETAILS][: rng.integers(1, 6)]:
            phrases.append(rng.choice(options))
        number = int(rng.integers(1000))
        parts.append(" ".join([*phrases, "number", str(number)]))
    return parts


def small_bert(folder: str, width: int) -> Any:
    """Return a BERT of one layer with random weights and the vocabulary of MiniLM."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertModel

    from emms.labels.packaged import PackagedEncoder
    from emms.labels.text_encoder import FolderTextEncoder

    tokenizer = AutoTokenizer.from_pretrained(PackagedEncoder("all-minilm-l6-v2")._encoder.folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": width, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 2 * width}
    BertModel(BertConfig(vocab_size=len(tokenizer), **sizes)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return FolderTextEncoder(folder)


class Clock:
    """Adds up the seconds in functions."""

    seconds = 0.0

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with its time added up."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds += time.perf_counter() - start

        return timed


def peak() -> float:
    """Return the peak of this process's memory, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(n: int, tiny: bool) -> dict[str, float]:
    """Return seconds and MiB of one run."""
    from emms.labels import text_encoder
    from emms.labels.embed import embed_labels, labels_key
    from emms.labels.packaged import PackagedEncoder
    from emms.labels.stored import label_embeddings
    from emms.moments import TargetMoments
    from emms.moments.folds import add_up, assign_folds
    from emms.moments.rows import RowFile
    from emms.store import Store

    forward = Clock()
    text_encoder._embed = forward.around(text_encoder._embed)
    texts, rng = captions(n), np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        store, glove = Store(f"{folder}/store"), PackagedEncoder("glove-6b-50d")
        glove.encode = forward.around(glove.encode)  # type: ignore[method-assign]
        small = small_bert(f"{folder}/small", 256)
        large = small_bert(f"{folder}/large", 384) if tiny else PackagedEncoder("all-minilm-l6-v2")
        large.encode(["a warm-up of the machine"])
        forward.seconds, before, start = 0.0, peak(), time.perf_counter()
        keys = []
        for encoder in (large, glove, small):
            keys.append(labels_key(encoder, texts, store))
            embed_labels(encoder, texts, store, keys[-1], classes=False)
        embedded, after_embedding = time.perf_counter() - start, peak()
        Z = label_embeddings(store, keys, np.ones(n, dtype=np.int64), classes=False)
        labelled, after_reading = time.perf_counter() - start, peak()
        parts, y = [TargetMoments(FEATURES, *Z.shape[1:]) for _ in range(5)], np.arange(n)
        batches = (rng.standard_normal((min(BATCH, n - i), FEATURES), dtype=np.float32) for i in range(0, n, BATCH))
        add_up(parts, batches, assign_folds(y, 5, 0), y, Z)
        return {
            "captions": n,
            "before": before,
            "embedded": after_embedding,
            "read": after_reading,
            "peak": peak(),
            "tensor": n * np.prod(Z.shape[1:]) * 8 / 2**20,
            "in file": isinstance(Z, RowFile),
            "forward": forward.seconds,
            "embedding": embedded,
            "labels": labelled,
            "moments": time.perf_counter() - start - labelled,
        }


def table(measured: Sequence[dict[str, float]]) -> Table:
    memory = ["before", "after embedding", "after reading", "after moments", "grown by"]
    result = Table("captions", *memory, "seconds", "forward passes", "beside them", "moments", "N x D2 x K")
    for one in measured:
        result.add_row(
            f"{one['captions']:,}",
            *(f"{one[name]:,.0f} MiB" for name in ("before", "embedded", "read", "peak")),
            f"{one['peak'] - one['before']:,.0f} MiB",
            f"{one['labels']:.1f}",
            f"{one['forward']:.1f}",
            f"{1 - one['forward'] / one['labels']:.1%}",
            f"{one['moments']:.1f} s",
            f"{one['tensor']:,.0f} MiB",
        )
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--captions", type=int, nargs="+", default=[10_000, 100_000], metavar="N", help="how many")
    parser.add_argument("--tiny", action="store_true", help="a small network instead of MiniLM")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.captions[0], arguments.tiny)))
        return
    command = [sys.executable, "-m", "benchmarks.labels", "--one", *(["--tiny"] if arguments.tiny else [])]
    measured = []
    for n in arguments.captions:
        printed = subprocess.run([*command, "--captions", str(n)], check=True, stdout=subprocess.PIPE, text=True).stdout
        measured.append(json.loads(printed.splitlines()[-1]))
    Console(width=160).print(table(measured))


if __name__ == "__main__":
    main()
