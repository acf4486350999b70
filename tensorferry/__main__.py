"""`python -m tensorferry`: the command line."""

from tensorferry.cli import main

if __name__ == "__main__":
    main()
