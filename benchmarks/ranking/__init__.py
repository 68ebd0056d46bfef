"""How well each estimator ranks networks; see `python -m benchmarks.ranking --help`."""
