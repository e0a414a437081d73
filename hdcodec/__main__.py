"""`python -m hdcodec` is the `hdc` command."""

import sys

from hdcodec.cli import main

if __name__ == "__main__":
    sys.exit(main())
