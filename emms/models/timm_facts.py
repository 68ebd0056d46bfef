"""Facts about timm's architectures that ship with this package, measured with the version of timm in constraints.txt.

Update them after that version or VERSION below has changed (takes about ten minutes):

    python -m emms.models.timm_facts
"""

from __future__ import annotations

import json
import lzma
import sys
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

VERSION = 1  # of the set of facts and how they are measured
FILE = Path(__file__).with_name("timm_facts.json.xz")


class Facts:
    """Facts about the names of one version of timm."""

    def __init__(self, content: dict[str, Any]) -> None:
        self._content = content

    def names(self) -> list[str]:
        """Return all names, sorted."""
        return list(self._content["names"])

    def of(self, name: str) -> dict[str, Any]:
        """Return the fields of an `Architecture`. Raises KeyError if the name is unknown."""
        weights = self._content["names"][name]
        network = self._content["networks"][weights["network"]]
        return {
            "preprocessing": dict(self._content["preprocessing"][weights["preprocessing"]]),
            "published": weights["published"],
            "classes": weights["classes"],
            "classifier": weights["classifier"],
            **network,
            "modules": network["modules"].split("\n"),
        }


@cache
def shipped() -> Facts | None:
    """Return the facts that ship with this package; None if another version of timm is installed."""
    try:
        content = json.loads(lzma.decompress(FILE.read_bytes()))
    except (OSError, lzma.LZMAError, ValueError):
        return None
    return Facts(content) if (content["timm"], content["version"]) == (version("timm"), VERSION) else None


def gather(names: Sequence[str]) -> dict[str, Any]:
    """Measure these names of the installed timm, and return the content of a `Facts`.

    Names share entries: 3,200 names have 180 different preprocessings and half as many networks as names.
    """
    from emms.models.timm_measure import configuration, network_facts, weights_facts

    networks: dict[str, int] = {}
    preprocessing: dict[str, int] = {}
    measured: list[dict[str, Any]] = []
    content: dict[str, Any] = {}
    for done, name in enumerate(names):
        weights = weights_facts(name)
        config = configuration(name)
        # All settings of the weights' configuration that timm uses when it builds a network.
        settings = [name.partition(".")[0], *(config.get(s) for s in ("num_classes", "global_pool", "input_size"))]
        if (key := json.dumps(settings)) not in networks:
            networks[key] = len(networks)
            facts = network_facts(name, weights["preprocessing"]["input_size"])
            measured.append({**facts, "modules": "\n".join(facts["modules"])})
        row = preprocessing.setdefault(json.dumps(weights["preprocessing"]), len(preprocessing))
        content[name] = {**weights, "preprocessing": row, "network": networks[key]}
        if done % 100 == 0:
            print(f"{done:,} of {len(names):,} names", file=sys.stderr)
    return {
        "timm": version("timm"),
        "version": VERSION,
        "preprocessing": [json.loads(row) for row in preprocessing],
        "networks": measured,
        "names": content,
    }


def write(path: Path, content: dict[str, Any]) -> None:
    """Write facts to a file."""
    text = json.dumps(content, separators=(",", ":"))
    path.write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))


if __name__ == "__main__":
    from emms.models.timm_measure import list_names

    write(FILE, gather(list_names()))
