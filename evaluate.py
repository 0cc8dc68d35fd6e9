"""Evaluate a trained potential, ID beside OOD: ``python evaluate.py --help``."""

from compbench_jax.cli.evaluate import main

if __name__ == "__main__":
    main()
