"""The KPIs: what each one is, the buckets they are kept in, and how a window of them is read.

The metrics worker writes buckets; the query API and the exporter read windows. This package is what they agree on.
"""
