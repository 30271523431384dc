"""Allocation: capital by strategy and pool, now and through time, what opened the pool, and what people override.

As in controlroom/pages/tournaments, whatever brings the compiled simulator with it is imported inside functions.
"""
