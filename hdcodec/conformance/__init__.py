"""Files that every installation must decode to the same symbols: `python -m hdcodec.conformance`.

Explained in docs/conformance.md. `make` writes the files, `suite` compares, `environment` says
with what.
"""
