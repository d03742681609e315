"""``python -m autoscale`` is the command line."""

import sys

from autoscale.cli import main

if __name__ == "__main__":
    sys.exit(main())
