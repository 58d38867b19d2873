# A thin layer over the CMake presets. `make help` lists the targets.
PRESET ?= release
.PHONY: help deps build demo test asan tsan soak bench format lint clean

help:
	@printf '%s\n' 'make demo    install what is missing, build, and run the main job' \
	  'make test    install what is missing, build, and run every test' \
	  'make asan    the tests under AddressSanitizer and UndefinedBehaviorSanitizer' \
	  'make tsan    the tests under ThreadSanitizer' \
	  'make build   build only' 'make lint    formatting and clang-tidy' \
	  'make soak    kill everything again and again for MINUTES=30, and look at what is left' \
  'make bench   measure, beside a peer or the floor in the same run' \
  'make format  reformat the sources'

deps:
	@tools/install-deps

build: deps
	cmake --preset $(PRESET)
	cmake --build --preset $(PRESET)

# With ANTHROPIC_API_KEY: make demo DEMO='--model NAME --budget 5 --iterations 4'
demo: build
	@if [ "$$(id -u)" -eq 0 ]; then tools/demo --bin build/$(PRESET)/bin $(DEMO); \
	elif sudo -n true 2>/dev/null; then \
	  sudo -n --preserve-env=ANTHROPIC_API_KEY tools/demo --bin build/$(PRESET)/bin $(DEMO); \
	else echo 'make demo needs root or passwordless sudo: it makes sandboxes' >&2; exit 1; fi

# Two at a time, where a test does not ask for the machine.
test: build
	ctest --preset $(PRESET) --no-tests=error --parallel 2

asan tsan: deps
	cmake --preset $@
	cmake --build --preset $@
	ctest --preset $@ --no-tests=error

MINUTES ?= 30
soak: build
	python3 tests/e2e/replay_test.py build/$(PRESET)/bin/germline \
	  build/$(PRESET)/bin/germline-scripted-upstream tests/demo/story.json 2 BuiltIn
	python3 tests/e2e/crash_test.py build/$(PRESET)/bin/germline deploy/prices.json --whole
	python3 tests/e2e/soak_test.py build/$(PRESET)/bin/germline deploy/prices.json \
	  --minutes $(MINUTES)

# Of real evolution the short form. The long one is that of docs/evolution.md:
# make bench REPEATS=5 ITERATIONS=12
REPEATS ?= 2
ITERATIONS ?= 4
EVOLUTION = build/bench/evolution-$(ITERATIONS)
bench: build
	@tools/install-deps bench
	@mkdir -p build/bench
	build/$(PRESET)/bin/gateway_bench
	build/$(PRESET)/bin/choosing_bench
	build/$(PRESET)/bin/growth_bench 1000
	build/$(PRESET)/bin/strategies_sim build/bench/simulation.jsonl
	/usr/bin/python3 tests/bench/draw_curves.py simulation build/bench/simulation.jsonl build/bench/simulation.svg
	build/$(PRESET)/bin/sandbox_bench
	python3 tests/bench/iteration_bench.py build/$(PRESET)/bin/germline
	python3 tests/bench/evolution_curve.py build/$(PRESET)/bin/germline $(EVOLUTION) \
	  --repeats $(REPEATS) --iterations $(ITERATIONS)
	/usr/bin/python3 tests/bench/draw_curves.py curve $(EVOLUTION) $(EVOLUTION)/curve.svg
	/usr/bin/python3 tests/bench/draw_curves.py tree $(EVOLUTION) best $(EVOLUTION)/tree.svg

format:
	tools/format --fix

lint: build
	tools/format --check
	tools/lint build/$(PRESET)

clean:
	rm -rf build
