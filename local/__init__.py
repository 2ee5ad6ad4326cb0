"""Everything that runs on a laptop only: the local cloud, the sample shop and the demo."""
