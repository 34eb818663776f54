"""
The entry point of the command: ``vergewatch``, which is the same as ``python -m exporter``.

The daemon handles signals before it imports anything else, which takes most of a second.
"""

import sys

from exporter import __version__, signals

if sys.argv[1:2] == ["run"]:
    signals.install()
else:
    signals.unblock()


def main() -> None:
    """Run the command line."""
    if sys.argv[1:] == ["--version"]:  # which imports no command
        sys.stdout.write(f"vergewatch {__version__}\n")
        return
    # After the handlers. Without options, the daemon needs no parser, which takes 2 MiB.
    if sys.argv[1:] == ["run"]:
        from exporter.cli.run import main as run  # noqa: PLC0415
    else:
        from exporter.cli.main import main as run  # noqa: PLC0415
    run()


if __name__ == "__main__":
    main()
