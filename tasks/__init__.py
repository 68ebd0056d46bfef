"""Prefect tasks built from the stages of `emms`, with retries, time limits and tags."""
