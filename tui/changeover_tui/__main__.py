"""`python -m changeover_tui` is the same as `changeover`."""

import sys

from changeover_tui.cli import main

if __name__ == "__main__":
    sys.exit(main())
