"""Answers to questions about what was stored: trends, forecasts, behaviour and the state of the network."""
