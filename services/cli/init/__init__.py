"""``deskpulse init``: a configuration out of five answers."""

from services.cli.init.command import init

__all__ = ["init"]
