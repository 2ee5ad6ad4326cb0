"""The state table: the detector, its intervals, chunks of history, runs of the pipeline, and the
outbox.
"""
