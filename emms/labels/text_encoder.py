"""Label embeddings from text encoders of transformers, in a local folder or from the hub."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emms import pretrained
from emms.errors import LabelEncoderError, UnavailableError, printable
from emms.labels.base import LabelEncoder
from emms.labels.text_recipe import Recipe, read_recipe

if TYPE_CHECKING:  # torch and transformers take seconds to import; only `encode` needs them
    import torch

VERSION = 1
BATCH = 64
_UNLIMITED = 2**30  # tokenizers without a limit have 1e30, which does not fit into an integer


class TextEncoder(LabelEncoder):
    """A transformers network and its tokenizer in a folder; `read_recipe` determines how token vectors are pooled."""

    poolings = ("auto", "mean", "cls", "last")
    _network: tuple[Recipe, Any, torch.nn.Module] | None = None

    @property
    @abstractmethod
    def folder(self) -> Path:
        """Local folder of the files. Raises LabelEncoderError or UnavailableError if they are not available."""

    def reference(self, digests: Callable[[Sequence[str]], list[str]]) -> dict[str, Any]:
        """Return the files' digests and the actual pooling; see `LabelEncoder.reference`."""
        recipe = read_recipe(self.folder, self.pooling)
        paths = sorted({*pretrained.configuration(self.folder), *self._weights()})
        try:
            hashes = digests([str(path) for path in paths])
        except OSError as cause:
            raise LabelEncoderError(
                f"label encoder '{self.name}' cannot be read: {cause}; fix the file or its permissions"
            ) from cause
        files = {path.relative_to(self.folder).as_posix(): digest for path, digest in zip(paths, hashes, strict=True)}
        return {"encoder": "text", "version": VERSION, "pooling": recipe.pooling, "files": files}

    def encode(self, texts: Sequence[str], device: str = "cpu") -> np.ndarray:
        """Return the embeddings, (len(texts), D2) float32; texts longer than the network can read are cut off.

        A batch consists of texts with the same number of tokens. So no padding or mask is needed, and the embedding of
        a text does not depend on the other texts.
        """
        recipe, tokenizer, network = self._loaded(device)
        limits = [
            recipe.max_length,
            tokenizer.model_max_length,
            getattr(network.config, "max_position_embeddings", None),
            _UNLIMITED,
        ]
        longest = min(limit for limit in limits if limit)
        written = [text.lower() for text in texts] if recipe.lower_case else list(texts)
        with self._explained("cannot read the texts"), pretrained.quiet():
            tokens = tokenizer(
                written, padding="max_length" if recipe.padded else False, truncation=True, max_length=longest
            )
            lengths = [len(ids) for ids in tokens["input_ids"]]
            full = [text for text, length in zip(written, lengths, strict=True) if length == longest]
            self.truncated += sum(len(ids) > longest for ids in tokenizer(full)["input_ids"]) if full else 0
        if 0 in lengths:
            raise LabelEncoderError(
                f"label encoder '{self.name}' finds no tokens in the text '{printable(texts[lengths.index(0)])}'; "
                f"write it in words, or use another encoder"
            )
        if recipe.padded:
            tokens.pop("attention_mask", None)
        embeddings: dict[int, np.ndarray] = {}
        with self._explained("cannot embed the texts"):
            for batch in _batches(lengths):
                inputs = {name: [rows[i] for i in batch] for name, rows in tokens.items()}
                embeddings.update(zip(batch, _embed(network, inputs, recipe, device), strict=True))
        return np.stack([embeddings[i] for i in range(len(texts))])

    def _loaded(self, device: str) -> tuple[Recipe, Any, torch.nn.Module]:
        """Return recipe, tokenizer and network on this device; loaded by the first call."""
        if self._network is None:
            recipe = read_recipe(self.folder, self.pooling)
            self._weights()
            with self._explained("cannot be loaded"), pretrained.quiet():
                self._network = recipe, *_load(self.folder, recipe)
        self._network[2].to(device)
        return self._network

    def _weights(self) -> list[Path]:
        if files := pretrained.weights(self.folder):
            return files
        raise LabelEncoderError(
            f"label encoder '{self.name}' has no weights in {self.folder}; "
            f"it needs model.safetensors or pytorch_model.bin"
        )

    @contextmanager
    def _explained(self, problem: str) -> Iterator[None]:
        try:
            yield
        except LabelEncoderError:
            raise
        except Exception as cause:  # transformers and its tokenizers raise errors of every type
            reason = f"{cause}".strip().partition("\n")[0] or repr(cause)
            raise LabelEncoderError(
                f"label encoder '{self.name}' {problem}: {reason}; "
                f"check that {self.folder} contains a complete text encoder, or use another"
            ) from cause


class FolderTextEncoder(TextEncoder):
    """A text encoder in a local folder, written by `save_pretrained` or sentence-transformers; `name` is the path."""

    @cached_property
    def folder(self) -> Path:
        """The folder."""
        folder = Path(self.name).expanduser()
        if not folder.is_dir():
            raise LabelEncoderError(
                f"label encoder folder '{self.name}' does not exist; give the path of a folder with a config.json"
            )
        return folder


class HubTextEncoder(TextEncoder):
    """A text encoder from the Hugging Face hub; `name` is its id there, such as bert-large-uncased.

    If the hub cannot be reached, its local cache is used.
    """

    @cached_property
    def folder(self) -> Path:
        """The local snapshot, updated if the hub can be reached; with safetensors if the hub has them."""
        try:
            return pretrained.snapshot(self.name)
        except UnavailableError as cause:
            raise type(cause)(
                f"label encoder 'hf:{self.name}' is not available: {cause}; check its name on huggingface.co and the "
                f"network, download it on another machine and give its folder, or use one that needs no hub, such as "
                f"packaged:all-minilm-l6-v2"
            ) from cause


def _load(folder: Path, recipe: Recipe) -> tuple[Any, torch.nn.Module]:
    """Return tokenizer and network, in float32 and without dropout. Raises LabelEncoderError if weights are missing."""
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    network, report = getattr(transformers, recipe.network).from_pretrained(
        folder, local_files_only=True, trust_remote_code=False, output_loading_info=True
    )
    # Many checkpoints have no head over the first token, which no pooling here uses.
    missing = sorted(key for key in report["missing_keys"] if not key.startswith("pooler."))
    if missing:
        raise LabelEncoderError(
            f"label encoder weights in {folder} lack {len(missing)} tensors ({', '.join(missing[:3])}, …); "
            f"they are not those of the network in its config.json"
        )
    if network.config.is_encoder_decoder and hasattr(network, "get_encoder"):
        network = network.get_encoder()
    return tokenizer, network.eval().float()


def _batches(lengths: list[int]) -> Iterator[list[int]]:
    """Yield the indices of texts of the same length, at most BATCH at a time."""
    for _, group in groupby(sorted(range(len(lengths)), key=lengths.__getitem__), key=lengths.__getitem__):
        indices = list(group)
        for start in range(0, len(indices), BATCH):
            yield indices[start : start + BATCH]


def _embed(network: torch.nn.Module, inputs: dict[str, Any], recipe: Recipe, device: str) -> np.ndarray:
    """Return the embeddings of texts of the same length, (B, D2) float32."""
    import torch

    with torch.inference_mode():
        output = network(**{name: torch.tensor(rows, device=device) for name, rows in inputs.items()})
        if recipe.pooling == "own":
            pooled = output.text_embeds if "text_embeds" in output else output.pooler_output
        else:
            vectors = output.last_hidden_state
            pooled = {"mean": vectors.mean(1), "cls": vectors[:, 0], "last": vectors[:, -1]}[recipe.pooling]
        if recipe.normalize:
            pooled = torch.nn.functional.normalize(pooled, dim=1)
        return pooled.cpu().numpy()
