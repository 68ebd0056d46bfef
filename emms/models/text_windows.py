"""From a text, or a pair of texts, to token ids; texts that are too long for a network become overlapping windows."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from emms.errors import ModelError

MAX_TOKENS = 512
"""Limit for windows of networks that can read more, or any number, since time grows with the square of the length."""

Window = dict[str, np.ndarray]
"""What a network reads of a window, by name: (T,) int64 each, among them `input_ids` and `attention_mask`."""


class TextWindows:
    """Tokenizes texts. Safe to use from several threads, which take turns: a tokenizer holds the settings of a call.

    tokenizer: that of transformers. max_length: of a window, in tokens, including special ones.
    cut: whether texts that are too long are cut rather than divided.
    full_length: whether all texts are padded to the maximum length.
    separator: put between the texts of a pair, for tokenizers that put nothing there.
    """

    def __init__(self, tokenizer: Any, max_length: int, cut: bool, full_length: bool, separator: str) -> None:
        self._tokenizer, self._max_length, self._cut = tokenizer, max_length, cut
        self._full_length, self._separator = full_length, separator
        self._lock = threading.Lock()

    def __call__(self, text: str, context: str = "") -> list[Window]:
        """Return the windows of a text, or of a pair. Of a pair, each window has the text and a part of the context.

        If a pair does not fit into one window, the text fills at most half of each; what is more of it is cut.
        """
        return self._windows(text, context)[0]

    def with_answer(self, text: str, context: str, answer_start: int) -> list[Window]:
        """Return the window in which a character of the context is farthest from both ends.

        Returns all windows if the position is unknown (-1).
        """
        windows, spans = self._windows(text, context)
        start = answer_start + len(self._separator)
        margins = [min(start - first, last - start) for first, last in spans]
        best = int(np.argmax(margins))
        return windows if answer_start < 0 or margins[best] < 0 else [windows[best]]

    def _windows(self, text: str, context: str) -> tuple[list[Window], list[tuple[int, int]]]:
        """Return the windows and the first and last character of the context in each."""
        with self._lock:
            if not context:
                encoded = self._encode((text,), "only_first", 0)
            else:
                context = self._separator + context
                text, used = self._fitted(text, context)
                encoded = self._encode((text, context), "only_second", used)
        count = len(encoded["input_ids"])
        names = [name for name in self._tokenizer.model_input_names if name in encoded] + ["attention_mask"]
        windows = [
            {name: np.asarray(encoded[name][i], dtype=np.int64) for name in dict.fromkeys(names)} for i in range(count)
        ]
        if not len(windows[0]["input_ids"]):
            windows = [self._empty(windows[0])]
        return windows, [_span(encoded, i, 1 if context else 0) for i in range(count)]

    def _encode(self, texts: tuple[str, ...], cut: str, used: int) -> Any:
        """Tokenize texts; used: the tokens of a window that the first of a pair needs."""
        room = self._max_length - self._tokenizer.num_special_tokens_to_add(pair=len(texts) > 1) - used
        if room < 1:
            raise ModelError(
                f"a window of {self._max_length} tokens has no room for a text; use a network with more positions"
            )
        # Windows overlap by a quarter of a window, or half of what a question leaves if that is less.
        overlap = 0 if self._cut else min(self._max_length // 4, room // 2)
        encoded = self._tokenizer(
            *texts,
            padding="max_length" if self._full_length else False,
            truncation=cut,
            max_length=self._max_length,
            stride=overlap,
            return_overflowing_tokens=not self._cut,
            return_offsets_mapping=True,
            return_attention_mask=True,
        )
        if self._cut:  # a single text rather than a list of windows
            return {name: [row] for name, row in encoded.items()} | {"sequence": [encoded.sequence_ids(0)]}
        count = len(encoded["input_ids"])
        return dict(encoded) | {"sequence": [encoded.sequence_ids(i) for i in range(count)]}

    def _fitted(self, text: str, context: str) -> tuple[str, int]:
        """Return the first text of a pair, cut to half a window if both do not fit, and its number of tokens."""
        tokens = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        spans, special = tokens["offset_mapping"], self._tokenizer.num_special_tokens_to_add(pair=True)
        most = max(1, self._max_length // 2 - special)
        if len(spans) > most:
            others = self._tokenizer(context, add_special_tokens=False, verbose=False)["input_ids"]
            if len(spans) + len(others) + special > self._max_length:
                return text[: spans[most - 1][1]], most
        return text, len(spans)

    def _empty(self, window: Window) -> Window:
        """Return a window of one token for a text without tokens: the end token, as of an empty text."""
        tokenizer = self._tokenizer
        ids = (tokenizer.eos_token_id, tokenizer.bos_token_id, tokenizer.pad_token_id, tokenizer.unk_token_id, 0)
        end = next(i for i in ids if i is not None)
        return {name: np.array([end if name == "input_ids" else int(name == "attention_mask")]) for name in window}


def _span(encoded: Any, window: int, sequence: int) -> tuple[int, int]:
    """Return the first and last character of one of two texts in a window; an empty range if it has none."""
    pairs = zip(encoded["offset_mapping"][window], encoded["sequence"][window], strict=True)
    offsets = [offset for offset, which in pairs if which == sequence]
    return (offsets[0][0], offsets[-1][1] - 1) if offsets else (0, -1)
