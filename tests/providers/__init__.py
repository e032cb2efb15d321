"""Real provider clients and LangGraph, through our handler, against a stand-in for the providers."""
