"""Evaluation of a trained potential: ID and OOD, with intervals."""
