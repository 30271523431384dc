"""What the simulated value at risk of a running station is made with; no NumPy, since pages name it too."""

PATHS = 100_000
DEGREES = 5.0  # of freedom of a day's returns: between the 4 to 7 that daily prices of shares give
