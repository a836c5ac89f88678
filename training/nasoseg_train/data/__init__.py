"""Slices that the networks are trained on.

slice_grid   a volume's slices on the bundle's grid, scaled (docs/reference/bundle.md, "input")
slice_set    prepared slices of many patients, cached in shards
dataset      a data set that `nasoseg-train prepare` wrote
draws        the slices of an epoch; checks of the sets before training
atlas_box    one fixed box, in mm, from the training set's target boxes
standin      crude patients for tests
"""
