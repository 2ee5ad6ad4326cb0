"""Use cases of the functions, one module per subject; adapters are passed in."""
