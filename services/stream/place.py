"""The place of a member with a name of its own (static membership) in its consumer group, when it stops.

The client keeps it: whoever comes back within the session timeout finds its partitions, and until then nobody reads
them. That is right for a single worker, whose return is all there is to wait for. Where others could go on at once, it
would stop the clocks of these partitions for as long as a restart takes.
"""

from __future__ import annotations

from typing import Any


def leave(client: Any) -> None:
    """Call it before ``client.stop()``: gives the place up, unless this member holds every partition there is."""
    coordinator = client._coordinator
    every = sum(len(client.partitions_for_topic(topic) or ()) for topic in client.subscription())
    if coordinator is not None and 0 < len(client.assignment()) < every:
        coordinator._group_instance_id = None  # with it the client's own stop sends no LeaveGroup
