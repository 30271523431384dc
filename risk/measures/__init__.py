"""What positions may lose: value at risk, expected shortfall, their tests, covariance, stress. Pure code.

The modules load scipy and scikit-learn: only commands and Celery's worker import them, inside functions.
"""
