"""Splits of a store's frames, and their audit."""
