"""Knowledge about threats and about the own network: ATT&CK, families of findings, assets."""
