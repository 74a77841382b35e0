"""Ingest: takes webhooks, proves who sent them, and puts canonical events on Kafka before it says yes."""
