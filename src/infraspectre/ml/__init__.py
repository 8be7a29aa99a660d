"""Estimators and their mathematics: numbers in, numbers out, no input or output and no network words."""
