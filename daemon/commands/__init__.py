"""The commands by what they do: run, fetch history, read results, look at the configuration."""
