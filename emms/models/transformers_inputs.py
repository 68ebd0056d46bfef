"""From a sample to the input of a transformers network: windows of token ids, and pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from emms.errors import ModelError, shortened
from emms.models.text_windows import MAX_TOKENS, TextWindows, Window
from emms.pretrained import quiet

_LOCAL = {"local_files_only": True, "trust_remote_code": False}


class Inputs(NamedTuple):
    """The prepared fields of one sample."""

    windows: Sequence[Window]
    image: np.ndarray | None = None
    """(3, H, W)."""

    @property
    def length(self) -> int:
        """Number of tokens in all windows."""
        return sum(len(window["input_ids"]) for window in self.windows)


class Reading(NamedTuple):
    """Settings of the preparation, which with the tokenizer and the image processor determine its results."""

    reads: frozenset[str]
    max_length: int
    """Of a window, in tokens."""
    windows: str
    """`mean` or `answer` for texts in overlapping windows, `cut` for texts that are cut."""
    separator: str
    """Put between the two texts of a pair."""
    full_length: bool
    """Whether texts are padded to the maximum length."""
    start: int | None = None
    """The token with which a decoder starts."""
    replaces_first_token: bool = False


class Preparation:
    """Prepares samples. Safe to use from several threads.

    images: turns an image into an array; None: the image processor in the folder.

    Raises ModelError if the folder has no tokenizer or image processor.
    """

    def __init__(
        self, folder: Path, reading: Reading, images: Callable[[Any], np.ndarray] | None, shown_as: str
    ) -> None:
        self._reading = reading
        self._images = images
        if "image" in reading.reads and images is None:
            self._images = _processor(folder, shown_as)
        if reading.reads - {"image"}:
            tokenizer = _tokenizer(folder, reading, shown_as)
            starts = (reading.start, tokenizer.cls_token_id, tokenizer.bos_token_id)
            self._start = next((start for start in starts if start is not None), None)
            if "caption" in reading.reads and self._start is None:
                raise ModelError(
                    f"model '{shown_as}' has no start token for its decoder; set `decoder_start_token_id` in its "
                    f"config.json"
                )
            cut, full = reading.windows == "cut", reading.full_length
            self._texts = TextWindows(tokenizer, reading.max_length, cut, full, reading.separator)

    def __call__(self, sample: Any) -> Inputs | np.ndarray:
        """Return the prepared fields of a sample; the array alone if it is an image."""
        reads = self._reading.reads
        image = self._images(sample.image) if self._images and "image" in reads else None
        if image is not None and reads == {"image"}:
            return image
        if "caption" in reads:
            return Inputs([self._forced(self._texts(sample.caption)[0])], image)
        context = sample.context if "context" in reads else ""
        if self._reading.windows == "answer":
            return Inputs(self._texts.with_answer(sample.text, context, sample.answer_start))
        return Inputs(self._texts(sample.text, context), image)

    def _forced(self, window: Window) -> Window:
        """Return what a decoder reads when it is trained to write these tokens: each token predicts the next."""
        ids = window["input_ids"]
        rest = ids[1:] if self._reading.replaces_first_token else ids[:-1]
        forced = np.concatenate([[self._start], rest]).astype(np.int64)
        return {"input_ids": forced, "attention_mask": np.ones_like(forced)}


def _tokenizer(folder: Path, reading: Reading, shown_as: str) -> Any:
    from transformers import AutoTokenizer

    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(folder, **_LOCAL)
    except Exception as cause:  # errors of every type
        raise ModelError(
            f"tokenizer of model '{shown_as}' in '{folder}' cannot be loaded: {shortened(cause)}; "
            f"save it there with tokenizer.save_pretrained"
        ) from cause
    if not tokenizer.is_fast:
        raise ModelError(
            f"tokenizer of model '{shown_as}' has no tokenizer.json, so that positions of tokens in a text are "
            f"unknown; convert it with transformers, and save it with tokenizer.save_pretrained"
        )
    if reading.full_length and tokenizer.pad_token is None:
        raise ModelError(
            f"tokenizer of model '{shown_as}' has no padding token, which this network needs; set `pad_token` in "
            f"its tokenizer_config.json"
        )
    return tokenizer


def _processor(folder: Path, shown_as: str) -> Callable[[Any], np.ndarray]:
    from transformers import AutoImageProcessor

    try:
        with quiet():
            processor = AutoImageProcessor.from_pretrained(folder, **_LOCAL)
    except Exception as cause:  # errors of every type
        raise ModelError(
            f"image processor of model '{shown_as}' in '{folder}' cannot be loaded: {shortened(cause)}; "
            f"save it there with image_processor.save_pretrained"
        ) from cause
    return lambda image: processor(images=image, return_tensors="pt")["pixel_values"][0].float().numpy()


def max_length(folder_limits: Sequence[int | None]) -> int:
    """Return the length of windows from the limits of a network and its tokenizer, at most `MAX_TOKENS`."""
    return min([MAX_TOKENS, *(limit for limit in folder_limits if limit)])
