"""Who a user is and what their plan is: tokens, key sets, plan lookup, client secrets and resume tokens."""
