"""Files of bars, Parquet or CSV, as a feed."""
