"""Rounds, rules, simulations and evolution, as their pages have them."""
