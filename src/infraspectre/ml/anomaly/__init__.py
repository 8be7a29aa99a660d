"""Detectors that learn from benign rows what is usual, and say how unusual others are."""
