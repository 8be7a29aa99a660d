"""Sigma rules over flows, application records and logs: read, compiled together, matched in batches, correlated."""
