"""Who asks, and whether they may: authentication, the policy of each route, and what is written down about it."""
