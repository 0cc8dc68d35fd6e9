"""Metrics as per-frame sums and counts, accumulated on the device."""
