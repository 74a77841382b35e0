"""The command line, ``deskpulse …``. It alone may import every service, and does so only for the command given."""

from __future__ import annotations


def main() -> None:
    """The console script."""
    from services.cli.app import app

    app(prog_name="deskpulse")
