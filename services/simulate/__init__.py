"""A simulated helpdesk: ticket lives, told as signed Zendesk webhooks. For trying Deskpulse, and for its tests."""
