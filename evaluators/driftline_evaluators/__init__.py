"""Judges exchanges between people and models: pure, and without a network of its own."""
