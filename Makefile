# Two commands on a fresh machine: `make run` opens the dashboard, `make test` checks everything.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: run setup test setup-test check unit browser lock clean
.DEFAULT_GOAL := run

run: setup
	$(BIN)/streamlit run app.py

setup: $(VENV)/.installed static/.installed

$(VENV)/.installed: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -r requirements.txt
	@touch $@

# The map's scripts and styles, so that it works with no internet. Without npm the map takes them from a public CDN.
static/.installed: package.json package-lock.json $(VENV)/.installed
	@mkdir -p static
	@if command -v npm >/dev/null; then \
	  npm ci --silent --no-audit --no-fund && $(BIN)/python -m s2dash.dashboard.assets && touch $@; \
	else echo "npm is not here: the map takes its scripts from a public CDN and needs the internet."; fi

setup-test: setup $(VENV)/.installed-test
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	  && apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null; } \
	  || echo "Chromium is not here and cannot be installed: the browser tests will say so and be skipped."

$(VENV)/.installed-test: requirements-test.txt $(VENV)/.installed
	$(PIP) -r requirements-test.txt
	@touch $@

test: setup-test check browser unit

check:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

unit:
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not browser"

# One more go for a test that fails: a browser on a busy machine may lose a click, as a person's does. The report says "rerun".
browser:
	$(BIN)/python -m pytest -n 2 --dist loadfile -m browser --reruns 1

# Pins all that the direct requirements need in turn; run it on Linux after changing a .in file.
lock:
	rm -rf .lock && $(PYTHON) -m venv .lock
	.lock/bin/pip install --quiet -r requirements.in
	{ echo "# Written by make lock from requirements.in; exact pins of everything."; .lock/bin/pip freeze | sed 's/+cpu$$//'; } > requirements.txt
	.lock/bin/pip install --quiet -r requirements-test.in
	{ echo "# Written by make lock from requirements-test.in."; .lock/bin/pip freeze | sed 's/+cpu$$//' | grep -vxFf requirements.txt; } > requirements-test.txt
	rm -rf .lock

clean:
	rm -rf $(VENV) node_modules static/leaflet static/leaflet-draw static/.installed .lock
