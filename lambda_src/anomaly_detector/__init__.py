"""Anomaly detection on business metrics in Amazon Redshift: the package of all functions and the
CLI.
"""
