"""Knowledge bases: what a session searches for passages, and how documents get in."""
