"""Reading a large column cell by cell in bounded memory."""

import tracemalloc

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from emms.datasets.parquet_cells import read_cell


def test_memory_does_not_grow_with_the_row_group(tmp_path):
    path, megabyte = str(tmp_path / "one group.parquet"), 1 << 20
    column = pa.array([bytes([i]) for i in range(250)])
    cells = pc.binary_repeat(column, megabyte)
    pq.write_table(pa.table({"image": cells}), path, compression="none", use_dictionary=False, write_batch_size=1)
    del cells
    arrow, most = pa.default_memory_pool(), 0
    before = arrow.bytes_allocated()
    tracemalloc.start()
    try:
        for row in range(250):
            assert read_cell(path, "image", row) == bytes([row]) * megabyte
            most = max(most, arrow.bytes_allocated() - before + tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert 100 * megabyte < most < 220 * megabyte
