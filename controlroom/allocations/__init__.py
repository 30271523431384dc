"""Capital by strategy as the engine is told: what rounds decide, what people override, and what the worker answers."""
