"""The running platform: what `infraspectre serve` starts, and what programs ask of it."""
