"""Irreducible representations, couplings and convolutions."""
