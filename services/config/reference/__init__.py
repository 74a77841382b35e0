"""The settings in words, for docs/settings.md and .env.example, which are made of it."""
