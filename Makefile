# Everything from a fresh machine with Python >= 3.10, a C++20 compiler and the package registry.
PYTHON ?= python3
BIN = .venv/bin
DIGITS = runs/demo/digits
RUN = runs/demo/fit
DATA = data
RESULTS = results/full

.PHONY: demo test slow dali gpu-suite fuzz report docs lint types check sanitize wheel clean

demo: .venv/installed  ## make the digits data set, train on it, and use the network
	$(BIN)/dctnet prepare digits $(DIGITS)
	$(BIN)/dctnet fit --config digits --data.root $(DIGITS) --trainer.default_root_dir $(RUN) --overwrite true
	$(BIN)/dctnet validate --config digits --data.root $(DIGITS) --trainer.default_root_dir $(RUN) --ckpt_path $(RUN)/last.ckpt
	$(BIN)/dctnet predict $(RUN)/last.ckpt $(DIGITS)/val --out runs/demo/predictions.csv
	$(BIN)/dctnet inspect $$(ls $(DIGITS)/val/3/*.jpg | head -n 1) --out runs/demo/digit.png

test: .venv/installed-test  ## every test and doctest, a process a core
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal

slow: .venv/installed-test  ## the tests that take minutes
	$(BIN)/python -m pytest -m slow

dali: .venv/installed-dali  ## the tests that need NVIDIA DALI; no GPU
	$(BIN)/python -m pytest -m "dali and not gpu"

gpu-suite: .venv/installed-dali  ## on CUDA devices: their tests, benchmarks, all experiments; at most 50 MB in RESULTS
	$(BIN)/python experiments/suite.py $(DATA) --full --out $(RESULTS)

fuzz: .venv/installed-test  ## ten minutes of each fuzz target, beyond the short runs of `make slow`; needs clang
	$(BIN)/python -m tests.fuzz.run --seconds 600 --record tests/fuzz/executions.json

report: .venv/installed  ## all committed results on one page, build/report.html
	mkdir -p build
	$(BIN)/dctnet report experiments benchmarks build/report.html

docs: .venv/installed-test  ## the site of docs/, in build/docs; no network
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/installed-dev  ## what the package tells type checkers
	$(BIN)/pyright --pythonpath $(BIN)/python

check: lint types test

sanitize: .venv/installed-test  ## the decoder under AddressSanitizer and UBSan
	$(BIN)/python -m pytest -m slow tests/sanitize

wheel: .venv/installed-dev  ## the sdist, from it the wheel, of that the manylinux wheel (Linux); all in dist/, checked
	rm -rf dist
	$(BIN)/python -m build --outdir dist/built .
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/auditwheel repair --wheel-dir dist dist/built/*.whl
	mv dist/built/*.tar.gz dist && rm -r dist/built
	$(BIN)/twine check --strict dist/*
	$(BIN)/python tests/wheel_contents.py dist/*.whl
	$(BIN)/python tests/wheel_use.py dist/*.whl

# One environment; each mark says with which extras it was installed. The tree is installed editable: Python files count at once.
.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml CMakeLists.txt $(wildcard dctnet/*/*.cpp dctnet/*/*.hpp) | .venv/bin/python
	$(BIN)/pip install --quiet --editable .
	@touch $@

.venv/installed-test: .venv/installed
	$(BIN)/pip install --quiet --editable ".[test]"
	@touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/pip install --quiet --editable ".[dev]"
	@touch $@

.venv/installed-dali: .venv/installed-test
	$(BIN)/pip install --quiet --editable ".[test,dali]"
	@touch $@

clean:
	rm -rf .venv build dist runs
