"""Files of Debian packages, installed or fetched."""

from __future__ import annotations

import subprocess
from pathlib import Path


def debian(package: str, path: Path, cache: Path) -> Path:
    """Return where a path of a Debian package is: in the system if it is installed, else unpacked in the cache."""
    folder = cache / "debian" / package
    for root in (Path("/"), folder):
        if (root / path).is_dir():
            return root / path
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["apt-get", "download", "--quiet", package], cwd=folder, check=True)
    archive = next(folder.glob(f"{package}_*.deb"))
    subprocess.run(["dpkg-deb", "--extract", archive.name, "."], cwd=folder, check=True)
    archive.unlink()
    return folder / path
