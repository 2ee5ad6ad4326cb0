"""Turns scores into events that a person can act on. Pure: values in, values out."""
