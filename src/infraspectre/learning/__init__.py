"""Training and evaluation: from tables and labelled captures to models and their report cards."""
