"""Rounds as a station holds them."""
