"""The API: REST, streams and gRPC over the running platform, and who may ask for what."""
