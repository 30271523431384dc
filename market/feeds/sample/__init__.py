"""Real daily bars that the `arch` wheel carries: a market for a newcomer without data."""
