"""What may start a trade: each signal looks at one market at the close of an hour. Pure; switched by name."""
