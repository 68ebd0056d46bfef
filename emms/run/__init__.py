"""What a run does, stage by stage."""
