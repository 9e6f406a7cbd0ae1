# The two commands that matter are `make demo` and `make test`.

# Recipes of this file share one build folder and one Python environment; they do not run side by
# side on two cores to any gain.
.NOTPARALLEL:
.DELETE_ON_ERROR:

.PHONY: help
help:
	@echo 'make demo    install what is needed, build, annotate a sample that is made here'
	@echo 'make test    everything that continuous integration checks (tools/check.sh)'
	@echo 'make chaos   what happens when something fails (docs/reliability.md); CASE=name for one row'
	@echo 'make curves       how cost grows with faces, size, length, streams (docs/performance/curves.md)'
	@echo 'make performance  the tables of docs/performance.md, measured anew'
	@echo 'make lint    formatting, clippy, docs and licences only'
	@echo 'make fmt     format the code'
	@echo 'make build   the program alone: target/release/locutor'
	@echo 'make samples the clips that demo and tests read, under demo/'
	@echo 'make setup   system packages and ONNX Runtime (tools/setup.sh)'
	@echo 'make clean   remove everything that was built or made, imported models excepted'

.PHONY: setup
setup:
	tools/setup.sh

.PHONY: build
build: setup
	cargo build --release --locked

.PHONY: demo
demo: build demo/sample.mp4
	tools/demo.sh

.PHONY: test
test:
	tools/check.sh

# Rows need the machine for themselves. The table is written whether they held or not.
.PHONY: chaos
chaos: demo/sample.mp4
	CHAOS_FULL=1 cargo test --locked --all-features --test chaos -- \
	  --include-ignored --test-threads 1 --nocapture --skip writes_the_table $(CASE); \
	  held=$$?; cargo test --locked --all-features --test chaos -- --ignored writes_the_table && exit $$held

# What is given as a,b is a list.
comma := ,
list = $(foreach one,$(subst $(comma), ,$($(1))),$(2) '$(one)')

# Half an hour alone on the machine; CURVES=faces,streams for some of them. CLIP, PACKAGE and
# DETECTOR say what is measured, FACE where the clip has one face (benches/curves/README.md).
.PHONY: curves
curves: build demo/sample.mp4
	python3 benches/curves/curves.py $(call list,CURVES,--only) $(if $(CLIP),--clip '$(CLIP)') \
	  $(if $(FACE),--face '$(FACE)') $(if $(PACKAGE),--package '$(PACKAGE)') \
	  $(if $(DETECTOR),--detector '$(DETECTOR)')

# CLIPS, PACKAGES and DETECTOR say what is measured; the peer runs where PEER_SPEAKER and
# PEER_DETECTOR are directories of packages, under PEER_PYTHON (benches/tables/README.md).
.PHONY: performance
performance: build demo/sample.mp4
	python3 benches/tables/tables.py $(call list,CLIPS,--clip) $(call list,PACKAGES,--package) \
	  $(if $(DETECTOR),--detector '$(DETECTOR)') \
	  $(if $(PEER_SPEAKER),--peer-speaker '$(PEER_SPEAKER)') \
	  $(if $(PEER_DETECTOR),--peer-detector '$(PEER_DETECTOR)') \
	  $(if $(PEER_PYTHON),--peer-python '$(PEER_PYTHON)')

# Ten minutes of random bytes at each reader of what others wrote.
.PHONY: fuzz
fuzz:
	FUZZ_SECONDS=$(or $(FUZZ_SECONDS),600) cargo test --locked --all-features --test fuzz -- --nocapture

.PHONY: lint
lint:
	tools/check.sh lint

.PHONY: fmt
fmt:
	cargo fmt

.PHONY: clean
clean:
	cargo clean
	rm -rf demo .venv .ort

# --- Sample media: see tools/sample/README.md. Each clip is made once; delete it to make it anew.

make_sample = .venv/bin/python tools/sample/make_sample.py

samples = demo/sample.mp4 demo/sync.mp4 demo/turned.mov demo/silent.mp4 demo/mosaic12.mp4

.PHONY: samples
samples: $(samples)

.venv/ready: tools/sample/requirements.txt
	python3 -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

$(samples): | .venv/ready

# Two people take turns for half a minute: the demo.
demo/sample.mp4:
	$(make_sample) $@

# A flash and a click at the same instants, at a rate that is no whole number.
demo/sync.mp4:
	@mkdir -p demo
	.venv/bin/python tools/sample/make_sync.py $@ --fps 30000/1001

# Stored on its side, NTSC rate, two audio tracks.
demo/turned.mov:
	$(make_sample) $@ --seconds 6 --size 360x640 --fps 30000/1001 --rotate 90 --audio-tracks 2

demo/silent.mp4:
	$(make_sample) $@ --seconds 4 --audio-tracks 0

demo/mosaic12.mp4:
	$(make_sample) $@ --seconds 8 --layout mosaic12 --size 1280x720
