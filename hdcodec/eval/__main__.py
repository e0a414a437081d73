"""`python -m hdcodec.eval` is the `hdc eval` command."""

import sys

from hdcodec.__main__ import run

if __name__ == "__main__":
    run(["eval", *sys.argv[1:]])
