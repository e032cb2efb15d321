"""Judges what a retriever found, where it is known what it should have found."""
