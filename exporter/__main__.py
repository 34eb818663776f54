"""``python -m exporter`` is the same as ``vergewatch``."""

from exporter.cli.main import main

if __name__ == "__main__":
    main()
