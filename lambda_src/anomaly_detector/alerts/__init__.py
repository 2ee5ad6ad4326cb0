"""Alerts: what to send, in which form, and the adapters that send it."""
