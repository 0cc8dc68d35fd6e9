"""Molecules: fragments, registry, names, conformers, identity."""
