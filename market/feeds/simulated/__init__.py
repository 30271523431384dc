"""A made-up market, and labelled so."""
