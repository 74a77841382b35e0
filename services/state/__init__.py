"""Redis: how to reach it. Which keys there are, and who writes them, is each service's own matter."""
