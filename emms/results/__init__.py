"""What a run gives: the ranking, its record, how sure it is, and tables for terminals."""
