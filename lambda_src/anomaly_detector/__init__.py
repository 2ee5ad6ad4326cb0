"""Watches business metrics in Amazon Redshift: one package behind every function and the CLI."""
