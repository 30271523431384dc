"""What becomes of frozen policies on bootstrapped sessions when markets break: resilience, and claims decided."""
