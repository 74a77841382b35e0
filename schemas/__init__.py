"""The contracts that services share, as data: records, codecs, topics and the layout of the Redis state.

Nothing here does I/O or reads the time. Services never import each other; they meet in these records.
"""
