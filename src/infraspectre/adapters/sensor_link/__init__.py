"""The link between sensors and the server: batches of flows over mutual TLS, each delivered once and in order."""
