"""A client of the API for Python programs: every operation a method, every schema a class."""

from infraspectre.client.connection import ProblemError, pages
from infraspectre.client.operations import Client

__all__ = ["Client", "ProblemError", "pages"]
