"""Charts and pages from stored results. Pure: values in, text out; no request leaves a page."""
