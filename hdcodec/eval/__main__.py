"""`python -m hdcodec.eval` is the `hdc eval` command."""

import sys

from hdcodec.cli import main

if __name__ == "__main__":
    sys.exit(main(["eval", *sys.argv[1:]]))
