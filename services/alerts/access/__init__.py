"""Who asks the query API, what each may do, and how often."""
