"""Brains of the agents: one port, and each brain a closed folder behind it."""
