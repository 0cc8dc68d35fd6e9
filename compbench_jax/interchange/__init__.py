"""Frames of other programs into a store, and a store's frames out of it."""
