"""Any ASE calculator under test, in worker processes of its own environment."""
