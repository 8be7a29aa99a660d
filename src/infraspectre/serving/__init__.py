"""What `infraspectre serve` runs: the processes of the platform, and what they share."""
