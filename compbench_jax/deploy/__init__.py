"""A trained potential in use: ASE calculator, exported programs, speed."""
