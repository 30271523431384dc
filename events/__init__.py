"""The language all parts speak: event types, codec, bus, journal."""

VERSION = "0.1.0"
"""The station's version, as every process beats it and every run begins with it."""
