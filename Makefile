# Names commands; what they do stands in .ci/setup, pyproject.toml and the packages themselves.
.PHONY: demo test fast check bench clean

demo: ## set up, build the example, serve it and walk through it (DEMO_ONCE=1: end after the tour)
	.ci/setup demo
	.venv/bin/python -m examples.crm.demo

test: ## set up and run every test, with real PostgreSQL, MariaDB and Trino servers
	.ci/setup test
	.venv/bin/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder

fast: ## the tests that need no server, under a minute
	.venv/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not service and not slow" \
		--ignore=tests/capability --ignore=tests/crowd --ignore=tests/faults

check: ## format, lint, strict types, import contracts
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports

bench: ## the figures of benchmarks/README.md, one JSON object a line
	.venv/bin/python -m benchmarks.point --json
	.venv/bin/python -m benchmarks.herd --json
	.venv/bin/python -m benchmarks.bulk --json

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
