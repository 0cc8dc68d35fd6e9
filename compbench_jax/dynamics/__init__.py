"""Whether errors matter: a potential's trajectories, scans, vibrations and invariants beside the labels' level."""
