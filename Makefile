# The table of contents of working on regimed. `make demo` and `make test` set up all they need.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup demo test check lint types contracts coverage campaign architecture agents notices calibration replays assumptions mutants bench format lock clean

setup: .venv/ready

.venv/ready: requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "regimed needs Python 3.11 or newer, found " + sys.version.split()[0])'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup  ## the whole system on a simulated market: http://127.0.0.1:8080/health, Ctrl-C ends it
	$(BIN)/regimed demo $(ARGS)

test: setup  ## the suite, under 10 minutes
	$(BIN)/python -m pytest -q -n 2 --dist loadscope -m "not check" $(ARGS)

check: setup lint types contracts coverage  ## what CI runs: all of the above, real servers, more kills

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/yamllint --strict deploy config
	@! grep -nE '://' requirements/*.txt || { echo 'a requirements file names an address'; exit 1; }

types:
	$(BIN)/mypy

contracts:
	$(BIN)/lint-imports

coverage:
	REGIMED_KILLS=$${REGIMED_KILLS:-60} $(BIN)/python -m pytest -q -n 2 --dist loadscope --cov --cov-report=term:skip-covered --cov-fail-under=90 $(ARGS)

campaign: setup  ## kill -9 at 200 random moments and the model check; notified months; every recorded series; SEED=1 KILLS=200 MONTHS=20
	REGIMED_KILLS=$${KILLS:-200} REGIMED_SEED=$${SEED:-1} $(BIN)/python -m pytest -q tests/cycle/test_kills.py
	REGIMED_MONTHS=$${MONTHS:-20} REGIMED_KILLS=$${KILLS:-200} REGIMED_SEED=$${SEED:-1} $(BIN)/python -m pytest -q tests/notifications/test_month.py tests/cycle/test_notified_kills.py
	REGIMED_EVERY_SERIES=1 $(BIN)/python -m pytest -q -n 2 tests/regime/test_service.py tests/regime/test_components.py -m check

calibration: setup  ## docs/calibration.md from recorded candles; DATA=../shared/data
	$(BIN)/python docs/make_calibration.py $${DATA:-../shared/data}

architecture: setup  ## docs/architecture.md: the way of the data and the floors, read from the code
	$(BIN)/python docs/make_architecture.py

assumptions: setup  ## docs/assumptions.md: each assumption of the design and what is for and against it; DATA=../shared/data
	$(BIN)/python docs/make_assumptions.py $${DATA:-../shared/data}

agents: setup  ## docs/agents.md: how agents connect, and an answer of each tool, a minute
	$(BIN)/python docs/make_agents.py

notices: setup  ## docs/notices.md: what reaches the phone, captured from simulated days, two minutes
	$(BIN)/python docs/make_notices.py

replays: setup  ## docs/replays.md: recorded months through the daemon, resumable; DATA=../shared/data WORK=folder
	$(BIN)/python docs/make_replays.py $${DATA:-../shared/data} --work $${WORK:-build/replays} $(ARGS)

mutants: setup  ## one change at a time in the pure packages, and the tests must notice; FILES=... TESTS=... SEED=1 AT_MOST=...
	$(BIN)/python -m tests.mutants $(FILES) --tests $(TESTS) --seed $${SEED:-1} $(if $(AT_MOST),--at-most $(AT_MOST))

bench: setup  ## ratios against a named peer or limit, in one run
	$(BIN)/python -m bench $(ARGS)

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: setup  ## resolve the hashed requirements anew
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --extra data pyproject.toml -o requirements/runtime.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --extra data --extra fast --extra mcp --extra postgres --extra dev pyproject.toml -o requirements/dev.txt

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .hypothesis .coverage* mutants
