"""Base class of formats of captions: an image has several, of which all, the first or the mean are used."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator
from typing import ClassVar, Literal, NamedTuple

from pydantic import Field

from emms.datasets.annotated import AnnotatedImages, Row
from emms.datasets.clean_text import clean
from emms.downstream.image_captioning import ImageCaptioning


class Caption(NamedTuple):
    """A caption as the annotations have it."""

    image: str
    """Path of the image, relative to the folder of images."""
    text: str
    where: str
    """Its place in the annotations for messages, such as `line 12`."""
    problem: str = ""
    """Why it is left out, as in `Row`."""


class Captions(AnnotatedImages):
    """Base class of formats of captions. Subclasses yield `read`."""

    tasks: ClassVar = frozenset({ImageCaptioning.name})

    captions: Literal["all", "first", "mean"] = Field(
        "all",
        description="What to do with several captions of an image: `all` makes each a sample, `first` takes the "
        "first one, `mean` makes one sample whose label is the mean of the captions' embeddings.",
    )

    @abstractmethod
    def read(self) -> Iterator[Caption]:
        """Yield the captions in the order of the annotations; those of an image need not follow each other.

        Raises DatasetError, with the file and the line or key, if the annotations cannot be read.
        """

    def rows(self) -> Iterator[Row]:
        """Yield the captions, or the images that have captions. White space in captions is reduced to single spaces.

        The id of a caption is its image and its number among those of the image, from 0.
        """
        texts: dict[str, list[str]] = {}
        places: dict[str, str] = {}
        numbers = Counter[str]()
        for image, caption, where, problem in self.read():
            text = " ".join(clean(caption).split())
            if problem or not text or not image:
                yield Row(f"{image}#", "", where, problem=problem or "have a blank caption or image")
            elif self.captions == "all":
                yield _row(f"{image}#{numbers[image]}", where, image, [text])
                numbers[image] += 1
            elif image not in texts:
                places[image], texts[image] = where, [text]
            elif self.captions == "mean":
                texts[image].append(text)
        for image, group in texts.items():
            yield _row(image, places[image], image, group)


def _row(name: str, where: str, image: str, texts: list[str]) -> Row:
    return Row(name, "\n".join(texts), where, image, {"caption": texts[0]})
