# Every target sets itself up. PYTHON chooses the interpreter for .venv (3.11 or later).
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
SECONDS ?= 60
QUICK := $(addprefix tests/unit/,ct dicom dicomweb phantom test_errors.py test_results.py)
PAGE := src/hounsfield/viewer/page/index.html
PAGE_SOURCES := viewer/index.html viewer/package-lock.json viewer/vite.config.ts $(shell find viewer/src viewer/public -type f)

.PHONY: help setup viewer demo quick test lint docs bench fuzz soak mutate wheel lock clean

help:            ## list the targets
	@grep -E '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## /  make \1	/' | expand -t 16

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "hounsfield needs Python 3.11 or later; choose one with: make PYTHON=python3.12 …"; exit 1; }
	@echo 'setting up .venv (once; half a minute)'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --editable '.[all]' --group dev
	@touch $@

setup: $(READY) $(PAGE)  ## the environment, into .venv/, and the viewer's page where Node is installed

viewer: $(PAGE)  ## the viewer's page, into the package (needs Node 20.19 or later)
	@test -f $(PAGE)

$(PAGE): $(PAGE_SOURCES)
	@{ node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' 2> /dev/null \
	  && cd viewer && npm ci --silent --no-progress && npm run --silent build -- --logLevel warn; } \
	  || echo "the viewer's page is NOT built: that needs Node 20.19 or later and npm; all else works"

demo: setup      ## a CT phantom: written, loaded, measured, pictured, on a desktop shown
	@$(BIN)/hounsfield demo --out demo-output --force

lint: setup      ## ruff, mypy --strict (src and tests), the direction of imports, one codec of elements, plain words
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet . || { echo "run: $(BIN)/ruff format ."; exit 1; }
	@$(BIN)/mypy
	@$(BIN)/mypy --config-file tests/mypy.ini
	@$(BIN)/lint-imports --no-cache | tail -n 3
	@$(BIN)/python tests/support/one_codec.py
	@$(BIN)/python tests/support/import_cycles.py
	@$(BIN)/python tests/support/words.py

quick: setup     ## the inner loop: unit tests without real CT, browsers, servers or clusters; under a minute
	@HOUNSFIELD_TEST_DATA=none $(BIN)/python -m pytest -q -r fE -n auto --dist loadgroup $(QUICK) $(PYTEST)

test: lint docs  ## everything this machine can run; what is skipped is named, with the package that would run it
	@$(BIN)/python -m pytest -n auto --dist loadgroup $(PYTEST)

docs: setup      ## the documentation, into docs/_build/; a warning is an error
	@$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build

bench: setup     ## how fast, beside peers, in one run
	@for script in $$(grep -l __main__ bench/*.py); do echo "== $$script"; $(BIN)/python $$script || exit 1; done

fuzz: setup      ## mutated bytes for SECONDS=60 a target
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --group fuzz
	@for target in fuzz/fuzz_*.py; do echo "== $$target"; $(BIN)/python $$target -max_total_time=$(SECONDS) || exit 1; done

soak: setup      ## the long tests
	@$(BIN)/python -m pytest -m soak -o addopts="-ra --strict-markers"

mutate: setup    ## mutants of the modules that numbers and files depend on: how many the tests notice; an hour
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --group mutate
	@$(BIN)/python tests/support/mutants.py --survivors $(MUTANTS)

wheel: setup     ## a wheel, into dist/
	@$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

lock:            ## pin what is installed in .venv, naming no index
	@grep ';' constraints.txt > constraints.kept  # one pin for each Python: by hand
	@{ cat constraints.kept; $(BIN)/python -m pip freeze --exclude-editable --exclude pip --exclude imagecodecs \
	  | grep '==' | sed -E 's/\+.*//'; } | LC_ALL=C sort -f > constraints.txt && rm constraints.kept

clean:
	rm -rf .venv build dist docs/_build demo-output .mypy_cache .ruff_cache .pytest_cache .hypothesis
