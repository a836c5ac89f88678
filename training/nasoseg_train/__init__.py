"""The training side of nasoseg: it turns patients or phantoms into a model bundle.

The data passes through the rooms in this order::

    phantom | cohort -> data      slices of 3 x 384 x 384, masks, target boxes
    data -> agent                 trunk and Q head (paper 3.1)
    data, agent -> segmenter      RANet on the agent's boxes (paper 3.2)
    agent, segmenter -> bundle    the bundle that docs/reference/bundle.md describes
    bundle, data -> evaluation    its figures, through the library; the paper's tables

`geometry` and `run` are below all of them, `networks` below agent and segmenter, `commands` and
`cli` above. Imports run from a higher room to a lower one only (tests/test_rooms.py).

The package itself imports nothing, so the phantom can be used without PyTorch.
"""
