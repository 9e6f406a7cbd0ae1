"""Trains locutor's own active-speaker model: hears, looks, and says what it looked at.

Takes a folder of face tracks with sound, gives a model package of three ONNX graphs.
Commands: `python -m locutor_training prepare|train|skew|cross_face|evaluate|truth|export`.
"""
