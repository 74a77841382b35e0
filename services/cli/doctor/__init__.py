"""``deskpulse doctor``: what is configured here, and whether it works."""

from services.cli.doctor.command import doctor

__all__ = ["doctor"]
