# Everything is set up inside this checkout: a virtual environment in .venv, outputs in demo-output.
#   make demo    import a year of real flights, answer a question, draw the answer
#   make quick   the heart of the test suite, on one Python
#   make test    the whole test suite, on every supported Python that is here
#   make browser the notebooks in JupyterLab, in the Chromium that is here; screenshots in .tox/browser
#   make docs    the documentation as a site, in docs-site
#   make bench   the benchmarks; BENCH=columns, tables, import, cloud and so on says which
# PYTHON=python3.12 make ... picks the interpreter; ARGS="..." adds options to the command.

PYTHON ?= python3
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
DEMO_OUTPUT := demo-output

.DELETE_ON_ERROR:
.PHONY: help demo quick test browser docs bench clean

help:
	@sed -n 's/^#   //p' Makefile

demo: $(VENV)/.demo
	$(BIN)/python examples/flights/flights.py $(ARGS)

quick: $(VENV)/.quick
	$(BIN)/python -m pytest --quick -n 2 $(ARGS)

# Interpreters that pyenv keeps are no commands until it is told; tox finds them at the end of the PATH.
test: PYENV_BINS = $(shell command -v pyenv >/dev/null && pyenv versions --bare \
    | sed -En "s|^3\.1[1-9]\.[0-9]+$$|:$$(pyenv root)/versions/&/bin|p" | tr -d '\n')
test: $(VENV)/.test
	PATH="$$PATH$(PYENV_BINS)" $(BIN)/tox run $(ARGS)

browser: $(VENV)/.test
	$(BIN)/tox run -e browser $(ARGS)

docs: $(VENV)/.test
	$(BIN)/tox run -e docs $(ARGS)

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks $(or $(BENCH),columns) $(ARGS)

# Debian's python3 may come without ensurepip; the machine's own pip then puts one into the environment.
$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "make: $(PYTHON) is older than Python 3.11; use make PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { \
	    $(PYTHON) -m venv --clear --without-pip $(VENV) \
	    && $(PYTHON) -m pip --python $(BIN)/python install pip; }
	touch $@

$(VENV)/.demo: pyproject.toml | $(VENV)/.created
	$(PIP) install --quiet --editable '.[demo]'
	touch $@

$(VENV)/.quick: pyproject.toml | $(VENV)/.created
	$(PIP) install --quiet --editable '.[test]'
	touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/.created
	$(PIP) install --quiet 'tox>=4.22'
	touch $@

$(VENV)/.bench: pyproject.toml | $(VENV)/.created
	$(PIP) install --quiet --editable '.[bench]'
	touch $@

clean:
	rm -rf $(VENV) $(DEMO_OUTPUT) .tox dist docs-site
