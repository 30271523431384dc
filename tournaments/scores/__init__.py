"""What a round's entrants are worth: accuracy, contribution, performance, their standing and how sure it is.

Pure functions of settled numbers. The modules load scipy: Celery's worker and commands import them, inside functions.
"""
