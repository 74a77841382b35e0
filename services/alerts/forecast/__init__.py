"""How much work will come: the volume of the coming days, hour by hour."""
