"""Formats of other systems, and what sends them there."""
