"""What every service needs to be operated: health, probes, problems, logs, signals and the HTTP server."""
