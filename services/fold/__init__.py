"""The pure core of the metrics: a ticket's facts, in order, become the ticket and its SLA timers.

The metrics worker stores and announces what comes out; the query API and ``deskpulse explain`` tell step by step how it
came out. Both fold with this code, so an explanation cannot differ from the state. No I/O, and time is a parameter.
"""
