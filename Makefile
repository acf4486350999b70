# What a developer does with a clone. Everything is installed into .venv; TensorFlow lives elsewhere (make parity).
PYTHON ?= python3
BIN := .venv/bin
FERRY := $(BIN)/tensorferry

.PHONY: demo test fuzz lint types parity hub wheel fixtures protos bench clean

demo: .venv/runtime ## convert real TensorFlow checkpoints to every format, and run the results
	@mkdir -p out
	$(FERRY) inspect fixtures/add/model.ckpt
	$(FERRY) convert fixtures/add/model.ckpt out/add.pb --verify --force
	$(FERRY) convert fixtures/add/model.ckpt out/add.safetensors --verify --force
	$(FERRY) convert fixtures/add/model.ckpt out/add.onnx --verify --force
	$(FERRY) diff fixtures/add/model.ckpt out/add.safetensors
	$(FERRY) convert fixtures/ema/model.ckpt out/ema.onnx --ema --verify --force
	$(FERRY) run out/add.pb --outputs add:0
	$(BIN)/python examples/run_onnx.py out/add.onnx
	$(BIN)/python examples/run_onnx.py out/ema.onnx

test: .venv/dev ## everything that needs no TensorFlow
	$(BIN)/python -m pytest -n auto -m "not parity and not hub"

SECONDS ?= 600

fuzz: .venv/dev ## hostile input for SECONDS; guided by coverage where atheris is installed (pip install atheris)
	$(BIN)/python -m tests.fuzz.run --seconds $(SECONDS)

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/dev
	$(BIN)/mypy -p tensorferry

parity: .venv/dev ## compare with real TensorFlow 1.15 and 2.21, live; builds their environments on first use
	$(BIN)/python -m pytest -m parity tests/parity

hub: .venv/dev ## what presets give, judged by transformers; builds its environment on first use
	$(BIN)/python -m pytest -m hub tests/hub

wheel: .venv/dev ## build, install into a clean environment, run from elsewhere
	rm -rf dist build/wheel-venv
	$(BIN)/python -m build --outdir dist .
	$(PYTHON) -m venv build/wheel-venv
	build/wheel-venv/bin/python -m pip install --quiet "$$(ls dist/*.whl)[runtime]"
	mkdir -p build/elsewhere
	cd build/elsewhere && ../wheel-venv/bin/tensorferry --version
	cd build/elsewhere && ../wheel-venv/bin/tensorferry inspect ../../fixtures/add/model.ckpt
	cd build/elsewhere && ../wheel-venv/bin/tensorferry convert ../../fixtures/mnist/model.ckpt mnist.onnx \
		--outputs softmax:0 --ema --verify --force

fixtures: ## make the fixtures anew, with real TensorFlow
	fixtures/make.sh

protos: .venv/dev ## compile the .proto files to the descriptor set that is committed
	cd formats/protos && ../../$(BIN)/python -m grpc_tools.protoc -I. --include_imports -o tensorflow.binpb \
		graph.proto checkpoint.proto saved_model.proto chunk.proto

bench: .venv/dev ## the figures that README quotes; tf2onnx takes 17 GB and most of the time
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/weights.py
	$(BIN)/python benchmarks/mapping.py
	$(BIN)/python benchmarks/freeze.py
	$(BIN)/python benchmarks/to_onnx.py

.venv/pip:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	@touch $@

.venv/runtime: .venv/pip setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --editable ".[runtime]"
	@touch $@

.venv/dev: .venv/pip setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	@touch $@ .venv/runtime

clean:
	rm -rf .venv out build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
