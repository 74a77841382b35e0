"""Kafka: the only package that imports aiokafka and faust."""
