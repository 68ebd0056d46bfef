"""A run: its stages, the order in which they are carried out, and their execution."""
