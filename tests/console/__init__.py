"""Holds the tests of the console; they are a package so that one platform and one browser last as long as they do."""
