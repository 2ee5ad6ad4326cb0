"""What the functions do, one module per subject; adapters and the pure core are handed in."""
