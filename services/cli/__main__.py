"""``python -m services.cli``: the same as ``deskpulse``, from a checkout that is not installed."""

from services.cli import main

main()
