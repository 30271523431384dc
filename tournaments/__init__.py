"""The weekly tournament: rules, rounds, sealed entries, stress, scores and the capital that they move."""
