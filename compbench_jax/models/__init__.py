"""Potentials: energy is the only head, forces are its gradient."""
