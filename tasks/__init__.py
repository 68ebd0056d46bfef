"""Prefect tasks: one stage of `emms` each, with its retries, timeout, cache key and tags. Nothing is computed here."""
