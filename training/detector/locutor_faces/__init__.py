"""A small face detector: its training material, its training, its judgement and its export."""
