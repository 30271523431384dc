"""Simulations of the rules as jobs of the station: asked for by people, resumed where a crash or a pause cut them."""
