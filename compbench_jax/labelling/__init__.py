"""Labelled frames: levels of theory and the dynamics that samples geometries."""
