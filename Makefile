# One environment, one lock. `make demo` and `make test` are all a fresh machine needs.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: demo test lint lock bench clean

demo: $(VENV)/demo.stamp
	$(BIN)/lentiform demo --out demo

test: $(VENV)/test.stamp
	tests/install-tools.sh
	$(BIN)/ruff check apps operators tests benchmarks packaging
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

bench: $(VENV)/test.stamp
	$(BIN)/python -m benchmarks.main_job

lock: $(VENV)/test.stamp
	$(BIN)/python packaging/lock.py

clean:
	rm -rf $(VENV) demo build *.egg-info

$(VENV)/bin/pip:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet pip==26.3

$(VENV)/demo.stamp: $(VENV)/bin/pip pyproject.toml requirements.lock
	$(BIN)/python -m pip install --constraint requirements.lock --editable .
	touch $@

$(VENV)/test.stamp: $(VENV)/bin/pip pyproject.toml requirements.lock
	$(BIN)/python -m pip install --constraint requirements.lock --editable ".[test,train]"
	touch $@
