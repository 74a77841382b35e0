"""The routes of the query API, one file for each kind of thing."""
