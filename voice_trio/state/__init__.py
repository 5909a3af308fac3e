"""State that instances share: limits, leases, session records, spending and rollout, in memory or in Redis."""
