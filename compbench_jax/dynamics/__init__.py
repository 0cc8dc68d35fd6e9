"""A potential's trajectories, scans, vibrations and invariants, compared with the level of theory of the labels."""
