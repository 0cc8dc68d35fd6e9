"""The console script: parsing and wiring, no science."""
