"""Segments: groups of alike users, found by clustering, with ids and names that outlive a new fit.

`traits` says what of a persona is looked at and reads it, `scaling` makes traits comparable, `clusters` finds groups
and tells which group of the last fit each one is, `names` puts into words what sets them apart, `fit` joins these,
`registry` keeps the fits, `score` writes assignments and profiles into the lake, `steps` is what the DAGs and the
command line call.
"""
