"""What carries actions out: a file with a blocklist, nftables, and webhooks."""
