"""Suites: grids of potentials, tasks and seeds that one command trains and evaluates, cell by cell."""
