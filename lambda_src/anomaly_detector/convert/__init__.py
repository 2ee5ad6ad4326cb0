"""From the Lookout for Metrics connector to this module: its query and its `params.json`."""
