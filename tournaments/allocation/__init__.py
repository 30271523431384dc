"""From scores to capital: slow base weights, the competitive pool, the evidence that opens it, the weekly decision."""
