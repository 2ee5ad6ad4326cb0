"""Alerts: which to send, and the adapters that send them."""
