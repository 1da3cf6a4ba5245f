"""`python -m s2dash`."""

import sys

from s2dash.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
