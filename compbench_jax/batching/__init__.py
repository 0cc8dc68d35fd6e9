"""Neighbour lists, packing and padded graph batches (NumPy up to the batch)."""
