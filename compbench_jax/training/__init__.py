"""Losses, optimiser, training loop, checkpoints."""
