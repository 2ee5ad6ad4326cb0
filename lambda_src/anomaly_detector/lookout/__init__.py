"""Every shape of Amazon Lookout for Metrics, which ended in 2025: its anomaly group, the payload of
its alerts, its exports. Pure, without numpy.
"""
