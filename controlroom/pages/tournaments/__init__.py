"""Tournaments: the season, one round with all that was said in it, and the rules.

The reads decode records whose types bring the compiled simulator with them: views import those inside functions, so
that a web process that shows no tournament does without.
"""
