"""Patients or phantoms in, a model bundle out: the training side of nasoseg.

The way of the data::

    phantom | prepared patients -> data      slices of 3 x 384 x 384, masks, target boxes
    data -> detector                          trunk and Q head (paper 3.1)
    data, detector -> segmenter               RANet on the agent's boxes (paper 3.2)
    trunk, Q head, RANet -> export            bundle as docs/bundle.md describes it
    bundle -> reference, evaluate             the bundle run with ONNX Runtime, and its figures
    bundle, data set -> evaluation            the bundle run by the library itself; the paper's tables

The package itself imports nothing, so that the phantom can be used without PyTorch.
"""
