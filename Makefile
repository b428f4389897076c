# Thin by intent: each target is one or two commands. Everything is relative, so a path with spaces works.
PY := .venv/bin/python

# Threads that wait by spinning slow small models down many times on a machine with other work.
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: help env book strict test test-core test-pages test-figures test-notebooks test-slides test-portable fuzz \
	dist test-oldest test-newest test-student test-lab test-grading lint lab lab-notebooks notebooks slides \
	exams offline pdf notation chapter test-chapter zoo bench study study-smoke actions links audit sbom book-newest release announce \
	clean

help:  ## what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' Makefile

env: .venv/.installed  ## the environment in .venv (installed again only when requirements.txt changes)

.venv/.installed: requirements.txt
	@sh book/_tools/make_env.sh

book: env  ## execute the chapters and build _build/html/index.html
	@$(PY) .venv/bin/jupyter-book build .

strict: env  ## the same with every page read and written again and every warning an error
	@$(PY) .venv/bin/jupyter-book build . -n -W --keep-going --all

# Two jobs keep two cores busy: the core's tests beside the book, and then what takes longest first.
test: lint  ## format, lint, import contract, unit and property tests, the built book in a browser
	@$(MAKE) --no-print-directory -j2 --output-sync=target test-core test-notebooks test-pages test-figures

test-core: env
	@$(PY) -m pytest --doctest-modules tests riemvae_core --ignore=tests/book

test-pages: book
	@RIEMVAE_BUILT=1 $(PY) -m pytest tests/book $(addprefix --ignore=tests/book/,test_notebooks.py test_build.py live in_lab)

test-figures: env  # these need no book, or build small ones of their own
	@$(PY) -m pytest tests/book/live tests/book/test_build.py tests/book/in_lab/test_reading.py

test-notebooks: book
	@RIEMVAE_BUILT=1 $(PY) -m pytest tests/book/test_notebooks.py

test-slides: book  # all decks in the browser; `make test` looks at one
	@RIEMVAE_BUILT=1 RIEMVAE_ALL_DECKS=1 $(PY) -m pytest tests/book/test_slides.py

test-portable: env  ## the core's tests as on other processors (some: SETTINGS="rounding-2 own-1" TESTS=tests/metrics)
	@$(PY) tests/portable.py $(SETTINGS) -- $(TESTS)

fuzz: env  ## files damaged at random, thirty times as many as in `make test` (another number: TIMES=)
	@RIEMVAE_FUZZ=$(or $(TIMES),30) $(PY) -m pytest tests/test_fuzz_files.py

dist: env  ## sdist and wheel of the core, in _build/dist (with a fixed date, so that the wheel's bytes repeat)
	@rm -rf _build/dist
	@SOURCE_DATE_EPOCH=315532800 $(PY) -m build --no-isolation --outdir _build/dist .

test-oldest: dist  ## the wheel in an empty environment with the lowest versions allowed (downloads; TORCH=2.13.0 pins torch)
	@$(PY) tests/smoke/run.py oldest

test-newest: dist  ## the same with the newest versions that pip finds
	@$(PY) tests/smoke/run.py newest

test-student: notebooks  ## student notebooks in an empty environment, the wheel beside them (some: NOTEBOOKS="10 11")
	@$(PY) tests/smoke/student.py $(or $(VERSIONS),oldest) $(NOTEBOOKS)

test-lab: env  ## every live figure in a real JupyterLab, driven by hand and by its kernel
	@$(PY) -m pytest tests/book/in_lab

test-grading: env  ## right and wrong answers before the real graders, otter and nbgrader (downloads; CHAPTERS=all)
	@$(PY) tests/smoke/grading.py $(CHAPTERS)

chapter: env  ## a new chapter's skeleton with all its entries (NAME=torus TITLE="A torus has no edge")
	@PYTHONPATH=book/_ext $(PY) book/_tools/new_chapter.py "$(NAME)" "$(TITLE)"

test-chapter: env  ## what chapters and their entries lack, before anything is built
	@RIEMVAE_SOURCES=1 $(PY) -m pytest --tb=short $(addprefix tests/,book/test_anatomy.py book/test_teaching.py book/test_front.py test_letters.py)

lint: env  ## formatting, lint and the one-way import contract
	@$(PY) -m ruff check . && $(PY) -m ruff format --check . && $(PY) .venv/bin/lint-imports --no-logo

lab: env  ## JupyterLab, where double-clicking a chapter opens it as a notebook
	@$(PY) book/_tools/lab.py

lab-notebooks: notebooks  ## JupyterLab with the student notebooks, as their readers have it
	@$(PY) book/_tools/lab.py notebooks

notebooks: book dist  ## notebooks of students, executed, of instructors, the wheel beside (for graders: FORMAT=otter|nbgrader, POINTS=1, SYLLABUS=8)
	@PYTHONPATH=book/_ext $(PY) -m riemvae_book.$(if $(FORMAT),grading "$(FORMAT)" $(POINTS) $(addprefix --syllabus ,$(SYLLABUS)),notebooks)

slides: book  ## a deck of slides for each chapter in _build/slides, out of the built book
	@PYTHONPATH=book/_ext $(PY) -m riemvae_book.slides

exams: book  ## exam questions and keys in _build/instructors (SEED=7 draws other numbers; one paper: QUESTIONS="0.1 2.3")
	@PYTHONPATH=book/_ext $(PY) -m riemvae_book.exams $(or $(SEED),0) $(QUESTIONS)

offline: book notebooks dist  ## one zip for readers without a network: site, student notebooks, wheel (in _build/offline)
	@$(PY) book/_tools/offline.py

pdf: book  ## the book on paper: one PDF, and one for each page of the site (in _build/pdf)
	@$(PY) book/_tools/pdf.py

notation: env  ## book/symbols.yml as tables in the source of the notation page
	@PYTHONPATH=book/_ext $(PY) -c "from riemvae_book import symbols; symbols.main()"

zoo: env  ## train every shipped model again from its seed, and say how close the result is
	@$(PY) -m riemvae_core.models.train_zoo

bench study study-smoke: export PYTHONPATH := .:benchmarks/studies
bench: book  ## run every benchmark (adds the peers in benchmarks/requirements.txt to .venv)
	@$(PY) -m pip install --quiet --requirement benchmarks/requirements.txt
	@for script in benchmarks/*.py; do echo "== $$script"; $(PY) "$$script" || exit 1; done

study: env  ## the verdict's study, here or on CLUSTER=; goes on after a kill (ARGS="--role confirmation", "--count")
	@$(PY) -m verdict $(ARGS)

study-smoke: env  ## the same in small: every part once, in less than a minute
	@$(PY) -m verdict benchmarks/studies/verdict/smoke.toml $(ARGS)

# What keeps the book alive (upkeep/): its tools lie apart from .venv, in _build/upkeep.
TOOLS := _build/upkeep/.installed

$(TOOLS): upkeep/requirements.txt | env
	@$(PY) -m venv --clear _build/upkeep
	@_build/upkeep/bin/python -m pip install --quiet --disable-pip-version-check -r $< && touch $@

actions: $(TOOLS)  ## actionlint and zizmor on the workflow files
	@$(PY) -m upkeep.workflows

links: book  ## every link of the site; those to other hosts where a network is
	@$(PY) -m upkeep.links

audit: $(TOOLS)  ## known advisories against anything in .venv (needs the network)
	@$(PY) -m upkeep.audit $(ARGS)

sbom: $(TOOLS)  ## a CycloneDX list of what the wheel needs and the site copies, in _build/sbom.json
	@_build/upkeep/bin/python -m upkeep.sbom

book-newest: env  ## the book in a copy of its own, with the newest version of each requirement (downloads, 15 minutes)
	@$(PY) -m upkeep.newest && $(MAKE) --no-print-directory -C _build/newest book

release: dist sbom  ## everything of a release in _build/release; TAG=v1.2.3 holds it to that version
	@$(PY) -m upkeep.release $(TAG)

announce:  ## the page of release TAG= on GitHub, with what lies in _build/release (the workflow calls it)
	@gh release create "$(TAG)" _build/release/* --verify-tag --title "$(TAG)" --notes-file _build/release/CHANGES.md

clean:  ## remove what was built (the environment stays)
	rm -rf _build riemvae_core.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache
