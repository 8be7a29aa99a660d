"""Rule files: found, read, prepared by what people decided about them, tested and updated."""
