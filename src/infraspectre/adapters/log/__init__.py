"""The event log: signed frames in segments on this machine's disk, or topics of Kafka."""
