"""What should be done, how sure, and why: the pure spine of every hour."""
