"""Churn: who is about to leave, how likely, and why.

`dataset` reads point-in-time features and labels and cuts them by time, `learners` are the models, `calibrate` turns
margins into probabilities, `evaluate` measures, `train` puts these together, `registry` keeps the artefact,
`explain` says why in words, `score` writes scores into the lake, `steps` is what the DAGs and the command line call.
"""
