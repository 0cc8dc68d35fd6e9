"""Convolutions in the frame of an edge, activations on the sphere."""
