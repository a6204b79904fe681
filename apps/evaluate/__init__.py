"""How good the lesion model is on scans with a truth."""
