"""Digests for leaders: what changed and why, what to ask, whom to praise, and what comes."""
