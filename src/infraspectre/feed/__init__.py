"""What happened, for whoever follows it: selections of the feed, batches decoded once, and readers that resume."""
