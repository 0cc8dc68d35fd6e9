"""Train a potential on one task of the benchmark: ``python train.py --help``."""

from compbench_jax.cli.train import main

if __name__ == "__main__":
    main()
