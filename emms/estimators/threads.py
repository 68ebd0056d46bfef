"""Limits on the thread pools of numpy's and scipy's BLAS, which otherwise slow each other down."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from threadpoolctl import ThreadpoolController

WORTH_THREADS = 2**28
"""A matrix product of so many multiplications takes some 10 ms on one core: long enough to wait for other threads."""

_in_force = threading.RLock()


@contextmanager
def one_pool(multiplications: int | None = None) -> Iterator[None]:
    """Leave several threads to numpy's BLAS alone while the context lasts.

    numpy and scipy each bring an OpenBLAS of their own, and idle threads of either keep a core busy for some 30 ms. So
    code that calls both in turn, such as scipy's L-BFGS with a gradient in numpy, can be ten times slower than with one
    thread.

    multiplications: of one matrix product, the largest, if known; below WORTH_THREADS numpy gets one thread, too.

    These limits hold for the whole process, and limits that overlap in several Python threads are not always lifted
    (threadpoolctl 3.8), so only one Python thread at a time is let in.
    """
    with _in_force:
        blas = ThreadpoolController().select(user_api="blas")
        paths = [library.filepath for library in blas.lib_controllers]
        if multiplications is None or multiplications >= WORTH_THREADS:
            # In wheels, numpy's own is in numpy.libs or numpy/.dylibs. A BLAS that both use stays as it is.
            others = [path for path in paths if not path.startswith(str(Path(np.__file__).parent))]
            paths = others if len(others) < len(paths) else []
        with blas.select(filepath=paths).limit(limits=1):
            yield
