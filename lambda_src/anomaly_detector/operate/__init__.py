"""Commands for a deployed detector, with the caller's own AWS credentials; not in the zip."""
