"""What is decided outside the code: the YAML document (support people) and the environment (infrastructure)."""
