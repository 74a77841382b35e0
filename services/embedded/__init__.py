"""The Kafka broker and the Redis server that `deskpulse up` starts when none is configured.

They are for trying Deskpulse on one machine. A production installation sets `DESKPULSE_KAFKA_BOOTSTRAP`
and `DESKPULSE_REDIS_URL` and starts nothing from here.
"""


class Unavailable(Exception):
    """A part cannot be started here. Its text is one sentence that says what to install or to set."""
