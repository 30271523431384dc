"""The audit: what happened, who decided, and whether anybody has changed it since."""
