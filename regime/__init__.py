"""What state is the market in, and will its range hold? A pure function of a window and a configuration."""
