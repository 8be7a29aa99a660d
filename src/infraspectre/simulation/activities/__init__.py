"""What hosts do: whole conversations between two hosts of a site, one file per service."""
