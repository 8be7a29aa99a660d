"""Messages to people: few, short, and written by a template."""
