"""What a session costs: its bill, the process's daily budget, and estimates for usage that was never reported."""
