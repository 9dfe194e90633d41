"""`python -m pinnzoo` is the command `pinnzoo`."""

from pinnzoo.cli import main

if __name__ == "__main__":
    main()
