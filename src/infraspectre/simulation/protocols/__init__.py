"""Application messages as bytes: pure functions, one file per protocol."""
