"""The risk manager: what the station's own market data say about the risk of its positions."""
