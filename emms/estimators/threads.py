"""Limit the thread pools of numpy's and scipy's BLAS, which otherwise slow each other down."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from threadpoolctl import ThreadpoolController

WORTH_THREADS = 2**28
"""Multiplications of a matrix product from which several threads are worthwhile: about 10 ms on one core."""

_lock = threading.RLock()


@contextmanager
def one_pool(multiplications: int | None = None) -> Iterator[None]:
    """Limit every BLAS except numpy's to one thread in this block.

    numpy and scipy each have their own OpenBLAS, and idle threads of either keep a core busy for some 30 ms. Code that
    calls both in turn, such as scipy's L-BFGS with a gradient in numpy, can be ten times slower than with one thread.

    multiplications: of the largest matrix product, if known; below WORTH_THREADS numpy is limited to one thread, too.

    The limits apply to the whole process, and limits that overlap in several Python threads are not always restored
    (threadpoolctl 3.8), so only one Python thread at a time can be in such a block.
    """
    with _lock:
        blas = ThreadpoolController().select(user_api="blas")
        paths = [library.filepath for library in blas.lib_controllers]
        if multiplications is None or multiplications >= WORTH_THREADS:
            # In wheels, numpy's BLAS is in numpy.libs or numpy/.dylibs. A BLAS that both use is not limited.
            others = [path for path in paths if not path.startswith(str(Path(np.__file__).parent))]
            paths = others if len(others) < len(paths) else []
        with blas.select(filepath=paths).limit(limits=1):
            yield
