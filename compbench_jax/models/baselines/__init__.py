"""What needs no learning: composition, a classical force field, nearest environments."""
