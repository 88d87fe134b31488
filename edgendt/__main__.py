"""`python -m edgendt`: the command, where no script of that name is on PATH."""

from edgendt.cli import main

if __name__ == "__main__":
    main()
