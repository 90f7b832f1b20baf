# Planton. Deux commandes suffisent : `make demo` et `make test`.
#
# Targets install what they need, and only when it changed; `make help` lists them.

SHELL = /bin/sh
.DEFAULT_GOAL = help
.DELETE_ON_ERROR:

# Without bytecode the engine takes twice as long to start.
unexport PYTHONDONTWRITEBYTECODE
export RASA_TELEMETRY_ENABLED = false
export SQLALCHEMY_SILENCE_UBER_WARNING = 1
export TF_CPP_MIN_LOG_LEVEL = 3

PYTHON = .venv/bin/python
APP = .venv/.installed
ENGINE = .venv-engine/.installed
AUDIT = .venv-audit/.installed
WEB = bot/web/vendor/.installed

.PHONY: help install train demo test check format test-nlu test-faults fuzz bench bench-pages bench-machines audit deploy-walk theme-dsfr lock clean

help: ## Affiche cette liste / Lists every target
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

install: $(APP) $(ENGINE) $(WEB) ## Installe ce qui manque / Installs what is missing
	@! git rev-parse --git-dir >/dev/null 2>&1 || git config merge.planton-nlu.driver '.venv/bin/planton _merge-nlu %O %A %B'

$(APP): requirements/dev.txt scripts/venv.sh
	@sh scripts/venv.sh .venv 3.13 requirements/dev.txt
	@ln -sf ../../scripts/planton .venv/bin/planton
	@touch $@

$(ENGINE): requirements/engine.txt scripts/venv.sh
	@sh scripts/venv.sh .venv-engine 3.10 requirements/engine.txt
	@touch $@

$(AUDIT): requirements/audit.txt scripts/venv.sh
	@sh scripts/venv.sh .venv-audit 3.13 requirements/audit.txt
	@touch $@

$(WEB): package-lock.json scripts/web.sh $(APP)
	@sh scripts/web.sh
	@touch $@

train: install ## Entraîne le modèle si ses entrées ont changé / Trains when inputs changed
	@$(PYTHON) -m bot train

demo: install train ## Lance tout ici, avec le bac à sable / Runs everything with the sandbox
	@exec $(PYTHON) -m bot demo

test: install train ## Lance tous les tests / Runs every test
	@$(PYTHON) -m pytest -n 3 --max-worker-restart=0 --dist loadfile --no-loadscope-reorder --durations=15 -m "not alone"
	@$(PYTHON) -m pytest -n 4 --max-worker-restart=0 --dist loadfile --no-loadscope-reorder --durations=15 -m alone tests/scenario

check: $(APP) ## Vérifie style, types, imports, exemples, règles / Lint, types, imports, examples, policy branches
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m mypy
	@.venv/bin/lint-imports
	@$(PYTHON) scripts/check_frames.py
	@$(PYTHON) scripts/check_gold.py
	@$(PYTHON) -m pytest -q tests/unit/test_templates.py
	@$(PYTHON) -m pytest -q tests/unit/policy --cov=bot.policy --cov-branch --cov-report= --cov-fail-under=100

format: $(APP) ## Remet le code en forme / Formats the code
	@$(PYTHON) -m ruff check --fix .
	@$(PYTHON) -m ruff format .

test-nlu: install train ## Compare la compréhension à la référence (ACCEPTER=1 la réécrit) / Compares understanding
	@$(PYTHON) scripts/test_nlu.py $(if $(ACCEPTER),--accepter)

test-faults: install train ## Provoque chaque panne, 10 000 messages (GRAINE=… rejoue) / Every fault, ten thousand messages
	@FAULTS_SEED=$(GRAINE) $(PYTHON) -m pytest -m faults tests/scenario/test_faults_long.py

fuzz: install train ## Un million d’entrées engendrées contre ce qui lit (ENTREES=…) / A million generated inputs against what reads
	@$(PYTHON) -m tests.fuzz $(if $(ENTREES),--entrees $(ENTREES))
	@FUZZ_EXAMPLES=300 $(PYTHON) -m pytest -q tests/fuzz/test_http.py

bench: install train ## Débit, délais, mémoire, à côté de Rasa : docs/benchmarks.md (ARGS=--quick) / Measures, beside stock Rasa
	@$(PYTHON) -m scripts.benchmark all $(ARGS)

bench-pages: install train ## Mesure la console, l’atelier, une publication sous charge / Measures the pages, a publication
	@$(PYTHON) scripts/bench.py
	@$(PYTHON) scripts/bench_console.py
	@$(PYTHON) scripts/bench_workbench.py

bench-machines: install train ## Joue onze machines, leurs pannes, ce que chacune ajoute (root) / Plays eleven hosts (root)
	@$(PYTHON) -m scripts.machines $(ARGS)

audit: install $(AUDIT) ## Failles connues, licences, nomenclature / Known weaknesses, licences, bill of materials
	@$(PYTHON) -m scripts.audit

deploy-walk: $(APP) ## Rejoue l’installation d’exploitation.md dans une Debian 13 neuve, en root (OPTIONS=…) / The set-up, replayed
	@$(PYTHON) -m scripts.deploy_walk $(OPTIONS)

theme-dsfr: $(APP) ## Thème de l’État, sous conditions (ACCEPTER=1 PAR=…, RETIRER=1) / The State's theme, under its terms
	@$(PYTHON) -m scripts.theme_dsfr $(if $(ACCEPTER),--accepter) $(if $(PAR),--par "$(PAR)") $(if $(RETIRER),--retirer)

lock: $(APP) ## Refait les verrous de requirements/ / Renews the lock files
	@sh scripts/lock.sh

clean: ## Retire ce qui s’installe (garde var/ et models/) / Removes what installs (keeps var/ and models/)
	@rm -rf .venv .venv-engine .venv-audit .tools node_modules bot/web/vendor .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find bot actions tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +
