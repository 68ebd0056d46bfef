"""Forward pass of a transformers network: from prepared samples to features of one or several layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from emms.models.base import Forward, View
from emms.models.families import Family, Kind
from emms.models.towers import Tower, pooled
from emms.models.transformers_inputs import Inputs

Grid = Callable[[np.ndarray], torch.Tensor]
"""From prepared images to a map (B, D, H, W)."""


class TransformersForward(Forward):
    """A network on its device; all views are computed in the same forward pass.

    reads: the fields of samples. full_length: whether texts are read without a mask. grid: replaces pixels by a map.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        family: Family,
        reads: frozenset[str],
        registers: int,
        device: torch.device,
        grid: tuple[Grid, int] | None = None,
    ) -> None:
        self.parameters = sum(p.numel() for p in module.parameters()) + (grid[1] if grid else 0)
        self._module: Any = module.to(device)
        self._family, self._reads, self._registers, self._device = family, reads, registers, device
        self._grid = grid[0] if grid else None
        config: Any = self._module.config
        text = getattr(config, "text_config", config)
        ends = getattr(text, "eos_token_id", None)
        end = ends[0] if isinstance(ends, list) else ends
        padding = getattr(text, "pad_token_id", None)  # GPT-2 has none
        self._padding = next(i for i in (padding, end, 0) if i is not None)
        self._segments = (getattr(text, "type_vocab_size", 0) or 0) > 1
        self._run = self._runner()

    def __call__(self, batch: np.ndarray | Sequence[Inputs], views: Sequence[View]) -> list[torch.Tensor]:
        """Return one (B, D1) tensor per view: for images (B, 3, H, W), or a list of B prepared samples.

        The features of a sample with several windows are the mean over its windows.
        """
        if isinstance(batch, np.ndarray):
            towers = self._run({}, self._pixels(list(batch)))
            return [pooled(towers, view) for view in views]
        rows = [(owner, window) for owner, inputs in enumerate(batch) for window in inputs.windows]
        parts: list[list[torch.Tensor]] = []
        for start in range(0, len(rows), len(batch)):  # so that windows do not need more memory than samples
            part = rows[start : start + len(batch)]
            images = [image for owner, _ in part if (image := batch[owner].image) is not None]
            towers = self._run(self._padded([window for _, window in part]), self._pixels(images) if images else {})
            parts.append([pooled(towers, view) for view in views])
        features = [torch.cat(part) for part in zip(*parts, strict=True)]
        if len(rows) == len(batch):
            return features
        owners = torch.tensor([owner for owner, _ in rows], device=self._device)
        counts = torch.bincount(owners).unsqueeze(1)
        return [
            torch.zeros(len(batch), windows.shape[1], device=self._device).index_add_(0, owners, windows) / counts
            for windows in features
        ]

    def _padded(self, windows: Sequence[dict[str, np.ndarray]]) -> dict[str, torch.Tensor]:
        """Return the windows of a batch as (B, T) tensors, padded at the end."""
        longest = max(len(window["input_ids"]) for window in windows)
        rows = {}
        for name in windows[0]:
            if name == "token_type_ids" and not self._segments:  # of a tokenizer that is not the network's own
                continue
            fill = self._padding if name == "input_ids" else 0
            padded = np.full((len(windows), longest), fill, dtype=np.int64)
            for row, window in zip(padded, windows, strict=True):
                row[: len(window[name])] = window[name]
            rows[name] = torch.from_numpy(padded).to(self._device)
        return rows

    def _pixels(self, images: Sequence[np.ndarray]) -> dict[str, torch.Tensor]:
        """Return images as one (B, 3, H, W) tensor; if their sizes differ, padded, with a mask (B, H, W)."""
        if self._grid is not None:
            return {"visual_embeds": self._grid(np.stack(images)).flatten(2).transpose(1, 2)}
        if self._family.kind is not Kind.FUSED_ENCODER:
            return {"pixel_values": torch.from_numpy(np.stack(images)).to(self._device)}
        height, width = (max(image.shape[axis] for image in images) for axis in (1, 2))
        pixels = np.zeros((len(images), images[0].shape[0], height, width), dtype=np.float32)
        mask = np.zeros((len(images), height, width), dtype=np.int64)
        for i, image in enumerate(images):
            pixels[i, :, : image.shape[1], : image.shape[2]] = image
            mask[i, : image.shape[1], : image.shape[2]] = 1
        return {
            "pixel_values": torch.from_numpy(pixels).to(self._device),
            "pixel_mask": torch.from_numpy(mask).to(self._device),
        }

    def _runner(self) -> Callable[[dict[str, torch.Tensor], dict[str, torch.Tensor]], list[Tower]]:
        family = self._family
        if family.kind is Kind.DUAL_ENCODER:
            return self._dual
        if family.kind is Kind.FUSED_ENCODER:
            return self._vision_then_text if hasattr(self._module, "text_encoder") else self._fused
        if "caption" in self._reads:
            return self._captioner
        return self._image if self._reads == {"image"} else self._text

    def _text(self, tokens: dict[str, torch.Tensor], _: dict[str, torch.Tensor]) -> list[Tower]:
        output = self._module(**tokens, output_hidden_states=True)
        return [self._text_tower(output, tokens["attention_mask"])]

    def _image(self, _: dict[str, torch.Tensor], pixels: dict[str, torch.Tensor]) -> list[Tower]:
        return [self._image_tower(self._module(**pixels, output_hidden_states=True))]

    def _dual(self, tokens: dict[str, torch.Tensor], pixels: dict[str, torch.Tensor]) -> list[Tower]:
        towers = []
        if pixels:
            towers.append(self._image_tower(self._module.get_image_features(**pixels, output_hidden_states=True)))
        if tokens:
            mask = tokens["attention_mask"]
            if self._family.full_length:  # as in training
                tokens, mask = {"input_ids": tokens["input_ids"]}, torch.ones_like(mask)
            output = self._module.get_text_features(**tokens, output_hidden_states=True)
            towers.append(self._text_tower(output, mask))
        return towers

    def _fused(self, tokens: dict[str, torch.Tensor], pixels: dict[str, torch.Tensor]) -> list[Tower]:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)  # ViLT orders the patches of an image at random
            output = self._module(**tokens, **pixels, output_hidden_states=True)
        # The tokens of the image come last; of ViLT's, those of the padding come last.
        text = tokens["attention_mask"]
        places = torch.arange(output.last_hidden_state.shape[1] - text.shape[1], device=self._device)
        image = places.expand(len(text), -1) < self._patches(pixels, len(places))
        return [self._text_tower(output, torch.cat([text, image.long()], dim=1))]

    def _patches(self, pixels: dict[str, torch.Tensor], tokens: int) -> torch.Tensor | int:
        """Return the number of an image's tokens that are not padding: one per patch, and a class token."""
        if "pixel_mask" not in pixels:
            return tokens
        side = self._module.config.patch_size
        return pixels["pixel_mask"][:, ::side, ::side].sum((1, 2)).unsqueeze(1) + 1

    def _vision_then_text(self, tokens: dict[str, torch.Tensor], pixels: dict[str, torch.Tensor]) -> list[Tower]:
        image = self._module.vision_model(pixel_values=pixels["pixel_values"]).last_hidden_state
        output = self._module.text_encoder(
            input_ids=tokens["input_ids"],
            attention_mask=tokens["attention_mask"],
            encoder_hidden_states=image,
            encoder_attention_mask=torch.ones_like(image[..., 0], dtype=torch.long),
            output_hidden_states=True,
        )
        return [self._text_tower(output, tokens["attention_mask"])]

    def _captioner(self, tokens: dict[str, torch.Tensor], pixels: dict[str, torch.Tensor]) -> list[Tower]:
        network = self._module
        if hasattr(network, "text_decoder"):  # BLIP
            image, decoder = network.vision_model(**pixels).last_hidden_state, network.text_decoder.bert
            quirks = {"is_decoder": True, "encoder_attention_mask": torch.ones_like(image[..., 0], dtype=torch.long)}
        else:
            image, decoder, quirks = network.encoder(**pixels).last_hidden_state, network.decoder.base_model, {}
            if hasattr(network, "enc_to_dec_proj"):
                image = network.enc_to_dec_proj(image)
        last: dict[str, torch.Tensor] = {}  # what enters the LayerNorm that is applied last
        hooks = [
            module.register_forward_pre_hook(lambda _, inputs: last.update(state=inputs[0]))
            for module in decoder.modules()
            if isinstance(module, torch.nn.LayerNorm)
        ]
        try:
            output = decoder(
                **tokens, encoder_hidden_states=image, use_cache=False, output_hidden_states=True, **quirks
            )
        finally:
            for hook in hooks:
                hook.remove()
        tower = self._text_tower(output, tokens["attention_mask"])
        return [tower._replace(last=last.get("state", tower.last))]

    def _text_tower(self, output: Any, mask: torch.Tensor) -> Tower:
        assert self._family.text
        own = getattr(output, "pooler_output", None)
        return Tower(self._family.text, output.last_hidden_state, output.hidden_states, own, mask, 0)

    def _image_tower(self, output: Any) -> Tower:
        part = self._family.image
        assert part
        own = getattr(output, "pooler_output", None)
        prefix = part.prefix + self._registers
        return Tower(part, output.last_hidden_state, output.hidden_states, own, None, prefix)
