"""RefCOCO, RefCOCO+ and RefCOCOg: expressions that refer to objects in images of COCO."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from pydantic import Field

from emms.datasets.annotated import AnnotatedImages, Row
from emms.datasets.coco_files import CocoImage, images_by_id
from emms.datasets.json_files import get, items, read_json
from emms.datasets.plain_pickles import read_pickle
from emms.downstream.boxes import Box, box_label, in_bins
from emms.downstream.referring_expression import ReferringExpression
from emms.errors import DatasetError, printable
from emms.paths import UserPath

_KEYS = frozenset({"images", "annotations", "id", "file_name", "width", "height", "bbox"})
_REFS = re.compile(r"refs\((\w+)\)\.p")
_LARGEST = 1e6  # pixels


class RefCOCO(AnnotatedImages):
    """A folder with refs(unc).p or the like, a pickle, and instances.json, which has the boxes.

    RefCOCO and RefCOCO+ (Yu et al. 2016, arXiv 1608.00272), RefCOCOg (Mao et al. 2016, arXiv 1511.02283). Each sentence
    is a sample. The pickle is read without running code in it.
    """

    tasks: ClassVar = frozenset({ReferringExpression.name})

    format: Literal["refcoco"] = "refcoco"
    path: UserPath = Field(description="The folder of refs(…).p and instances.json, such as refcoco+.")
    images: UserPath = Field(description="The folder of the images, such as train2014.")
    split_by: Literal["unc", "google", "umd"] | None = Field(
        None, description="Who split the samples: the name in refs(…).p. The default is the only one in the folder."
    )
    split: Literal["train", "val", "test", "testA", "testB"] | None = Field(
        None, description="The split. The default is all of them."
    )

    @property
    def source(self) -> str:
        """Path of the file of expressions. Raises DatasetError unless it is clear which one is meant."""
        folder = os.path.abspath(self.path)
        if self.split_by is not None:
            return os.path.join(folder, f"refs({self.split_by}).p")
        try:
            known = sorted(found[1] for name in os.listdir(folder) if (found := _REFS.fullmatch(name)))
        except OSError as cause:
            raise DatasetError(
                f"folder '{folder}' cannot be read: {cause.strerror}; give the folder of refs(…).p"
            ) from cause
        if len(known) != 1:
            several = f"more than one refs(…).p ({', '.join(known)}); choose with `split_by:`"
            raise DatasetError(
                f"folder '{folder}' has {several if known else 'no refs(…).p; give the folder that has it'}"
            )
        return os.path.join(folder, f"refs({known[0]}).p")

    def rows(self) -> Iterator[Row]:
        """Yield the sentences of the split; their ids are the image and the id of the sentence.

        Raises DatasetError, with the place, if a key is missing or the split does not exist.
        """
        source, instances = self.source, os.path.join(os.path.abspath(self.path), "instances.json")
        content = read_json(instances, _KEYS)
        images = images_by_id(content, instances)
        boxes = {
            get(annotation, "id", int, f"{where} of '{instances}'"): (where, annotation)
            for where, annotation in items(content, "annotations", instances)
        }
        splits = set()
        for where, ref in items({"refs": read_pickle(source)}, "refs", source):
            whole = f"{where} of '{source}'"
            splits.add(split := get(ref, "split", str, whole))
            if self.split not in {None, split}:
                continue
            image = images.get(get(ref, "image_id", int, whole))
            annotation = boxes.get(get(ref, "ann_id", int, whole))
            box, problem = None, "refer to an image or box that instances.json does not list"
            if image and annotation:
                box = _box(image, *annotation, instances)
                problem = "have an empty box, or one outside of the image"
            name = image.name if image else ""
            for place, sentence in items(ref, "sentences", source, where):
                text = get(sentence, "sent", str, f"{place} of '{source}'")
                number = get(sentence, "sent_id", int, f"{place} of '{source}'")
                label = box_label(text, box) if box and text.strip() else ""
                yield Row(f"{name}#{number}", label, place, name, {"text": text}, "" if box else problem)
        if self.split not in {None, *splits}:
            known = ", ".join(f"'{printable(split)}'" for split in sorted(splits))
            raise DatasetError(f"'{source}' has no split '{self.split}' (it has: {known})")


def _box(image: CocoImage, where: str, annotation: dict[str, Any], instances: str) -> Box | None:
    """Return an annotation's box in bins, or None if it is empty or outside of the image."""
    whole = f"{where} of '{instances}'"
    numbers = get(annotation, "bbox", list, whole)
    if len(numbers) != 4:
        raise DatasetError(f"{whole} has {len(numbers)} numbers at 'bbox', which are x, y, width and height; fix it")
    x, y, width, height = (get({"bbox": number}, "bbox", float, whole) for number in numbers)
    size = [get(image.entry, side, float, f"{image.where} of '{instances}'") for side in ("width", "height")]
    if max(map(abs, (x, y, width, height, *size))) > _LARGEST:
        return None
    return in_bins(x, y, x + width, y + height, *size)
