"""What several test suites share: a Kafka, a Redis, and how to find them."""
