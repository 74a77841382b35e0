"""How a message reaches a receiver. Every channel has the same three outcomes, see ``services.alerts.delivery``."""
