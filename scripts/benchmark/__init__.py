"""`make bench`: Planton beside what it replaces, a crisis' hour, and what must hold. `python -m scripts.benchmark --help`.

Load generator, Graph API and system are processes apart from each other, all on loopback, so that each one's CPU is told
apart. `messages`, `crisis`: what people write. `load`: who posts it. `graph`: who takes the replies. `systems`: what is
measured. `ledger`, `accounting`: what became of each message. `compare`, `hold`, `storm`: the measurements. `page`, `draw`:
docs/benchmarks.md and its pictures.
"""
