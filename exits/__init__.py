"""When must a running grid end? Four states, every trigger of every preset with its value. Pure."""
