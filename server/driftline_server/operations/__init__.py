"""What the house does, one verb per module; knows neither Flask nor SQL."""
