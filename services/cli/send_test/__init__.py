"""``deskpulse send-test``: one signed webhook, followed from the door to the alert, and taken out again."""

from services.cli.send_test.command import send_test

__all__ = ["send_test"]
