"""Layers that several potentials share."""
