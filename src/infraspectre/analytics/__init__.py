"""Answers to questions about what was stored, as pure functions: trends, forecasts, the day, hosts and the network."""
