"""Static word vectors as a network: the features of a text are the mean of the vectors of its words."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Hashable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emms.errors import ModelError
from emms.models.base import Candidate, Digests, Forward, Size, View
from emms.word_vectors import DAMAGES, open_vectors, words_of

if TYPE_CHECKING:
    import torch

    # emms.spec imports all dataset formats, one of which may come from a package that imports this module.
    from emms.spec import ModelSpec
    from emms.store import Store

VERSION = 1  # raise it if the code changes features


class WordVectors(Candidate):
    """Reads a text, and its context if there is one, as one bag of words. Unknown words do not count.

    A text without known words has the features 0. An untrained copy has the same words with random normal vectors.
    """

    ragged = True

    def __init__(self, spec: ModelSpec, store: Store | None = None, inputs: frozenset[str] | None = None) -> None:
        super().__init__(spec, store, inputs)
        self.reads = frozenset({"text", "context"} if inputs and {"text", "context"} <= inputs else {"text"})
        self._lock = threading.Lock()

    @classmethod
    def names(cls, pattern: str) -> list[str]:
        """Return no names: the source of packaged networks lists them."""
        return []

    @abstractmethod
    def _files(self) -> tuple[Path, Path]:
        """Return the paths of the matrix and of the index of its words. Raises ModelError."""

    def check(self) -> None:
        """Raise ModelError if the files are missing, or for an option of other networks."""
        spec = self.spec
        if spec.pool == "logits":
            raise self._error("has no classifier, so it has no logits")
        others = {
            **{"layer": spec.layer is not None, "pool": spec.pool not in {"auto", "mean"}},
            **{"features": spec.features != "auto", "windows": spec.windows != "mean"},
            "checkpoint": spec.checkpoint is not None,
        }
        if wrong := [f"`{name}:`" for name, given in others.items() if given]:
            raise self._error(f"has word vectors and no layers, so {' and '.join(wrong)} does not apply; remove it")
        self._opened()

    def size(self) -> Size:
        """Return the dimension of the vectors and the size of the matrix."""
        matrix, _ = self._opened()
        return Size(matrix.shape[1], matrix.size)

    def network(self, digests: Digests) -> dict[str, Any]:
        """Return the digests of the files; of an untrained copy, that of the words, and the seed."""
        matrix, index = map(str, self._files())
        identity = {"family": "word vectors", "version": VERSION}
        try:
            if self.spec.pretrained:
                return {**identity, "files": dict(zip(("matrix", "index"), digests([matrix, index]), strict=True))}
            shape = list(self._opened()[0].shape)
            # numpy guarantees the numbers of PCG64 for each of its versions, on all processors.
            random = {"seed": self.spec.seed, "shape": shape, "numpy": np.__version__}
            return {**identity, "files": {"index": digests([index])[0]}, "random vectors": random}
        except OSError as cause:
            raise self._error(f"cannot be read: {cause}; install its package again") from cause

    def preprocessing(self) -> dict[str, Any]:
        """Return what is read, and that words are runs of letters and digits in lower case."""
        return {"reads": sorted(self.reads), "words": "lower case"}

    def sharing(self) -> Hashable:
        """Return what is read, and the index of words."""
        return self.reads, str(self._files()[1])

    def prepare(self, sample: Any) -> np.ndarray:
        """Return the rows of the words of a sample, (T,) int64."""
        with self._lock:
            rows = self._rows
        words = words_of(sample.text) + (words_of(sample.context) if "context" in self.reads else [])
        return np.array([rows[word] for word in words if word in rows], dtype=np.int64)

    def length(self, prepared: np.ndarray) -> int:
        """Return the number of known words."""
        return len(prepared)

    def load(self, device: torch.device) -> Forward:
        """Load the vectors. Raises ModelError if the files have changed, or cannot be read."""
        import torch

        from emms.store.digests import FileDigests, sha256_of

        def digests(paths: Sequence[str]) -> list[str]:
            return FileDigests(self.store)(paths) if self.store else [sha256_of(path) for path in paths]

        if self.promised and self.promised != self.network(digests):
            raise self._error("has changed during the run; run again")
        matrix, _ = self._opened()
        if self.spec.pretrained:
            vectors = np.asarray(matrix, dtype=np.float32)
        else:
            vectors = np.random.default_rng(self.spec.seed).standard_normal(matrix.shape, dtype=np.float32)
        return _Mean(torch.from_numpy(vectors.copy()).to(device))

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {word: row for row, word in enumerate(self._opened()[1].to_list())}

    def _opened(self) -> tuple[np.ndarray, Any]:
        matrix, index = self._files()
        try:
            return open_vectors(matrix, index)
        except DAMAGES as cause:
            raise self._error(
                f"cannot be read from '{matrix}' and '{index}': {cause}; install its package again"
            ) from cause

    def _error(self, message: str) -> ModelError:
        return ModelError(f"model '{self.spec.id}' {message}")


class _Mean(Forward):
    """The mean of the vectors of the words."""

    def __init__(self, vectors: torch.Tensor) -> None:
        self._vectors, self.parameters = vectors, vectors.numel()

    def __call__(self, batch: Sequence[np.ndarray], views: Sequence[View]) -> list[torch.Tensor]:
        """Return the mean vectors of B samples, (B, D1), the same for each view."""
        import torch

        rows = torch.from_numpy(np.concatenate(batch)).to(self._vectors.device)
        starts = torch.tensor([0, *np.cumsum([len(words) for words in batch])[:-1]], device=rows.device)
        means = torch.nn.functional.embedding_bag(rows, self._vectors, starts, mode="mean")
        return [means for _ in views]
