"""`python -m mlnb`: the command `mlnb`."""

import sys

from mlnb.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
