"""The services of Deskpulse and what they share; no service imports another."""
