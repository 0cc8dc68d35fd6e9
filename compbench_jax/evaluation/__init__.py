"""Evaluation of a trained potential: ID beside OOD, with intervals."""
