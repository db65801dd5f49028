"""`python -m edgepack`: the same as the `edgepack` command."""

from edgepack.cli.main import main

if __name__ == "__main__":
    main()
