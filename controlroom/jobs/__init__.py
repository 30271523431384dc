"""Work that looks at a running station from outside: it informs and alerts, nothing waits for it."""
