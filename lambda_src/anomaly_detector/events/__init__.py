"""An event of one measure, from its opening to the group that a person can act on.

Pure: values in, values out. This file and `group` import no numpy, for functions that only pass
groups on.
"""
