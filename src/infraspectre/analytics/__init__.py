"""Answers to questions about what was found: trends, forecasts and figures of the day, as pure functions over ports."""
