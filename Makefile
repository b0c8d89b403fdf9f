# `make run` shows the statements; `make test` runs everything. Both set up what they need.
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip install --quiet --disable-pip-version-check

.PHONY: run test lint bench fuzz clean
run: $(VENV)/.ready
	$(VENV)/bin/canet statements

test: lint
	$(PY) -m pytest -n auto -rs --canet-retries 1

lint: $(VENV)/.ready
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

bench: $(VENV)/.ready
	$(PY) -m canet.harness.bench

fuzz: $(VENV)/.ready
	$(PY) -m tests.fuzz

$(VENV)/.ready: pyproject.toml
	python3 -m venv $(VENV)
	$(PIP) --editable '.[peers,dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist src/*.egg-info
