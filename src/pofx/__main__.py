"""``python -m pofx`` is the command ``pofx``."""

from pofx.cli import main

if __name__ == "__main__":
    main()
