"""Real, public, labelled sources for training: a registry, a reader for each, and how pairs are drawn from what they read."""
