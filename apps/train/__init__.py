"""Training of the default models on simulated subjects."""
