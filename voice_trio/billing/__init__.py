"""What usage costs: the price table, the reading of usage, and exact sums per turn, session, user and day."""
