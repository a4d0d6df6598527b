"""Telling the operator: what happened, why, how sure, what to do. At least once, and never silently lost."""
