"""Foundation potentials: what they are, their environments, their weights as runs of ours."""
