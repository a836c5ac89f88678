"""Model bundles (docs/reference/bundle.md): written, calibrated and checked.

writer             graphs and manifest; golden: the golden case
reference          a plain numpy and ONNX Runtime implementation of a bundle;
                   reference_sampling samples its probabilities
reference_parity   the reference against the golden case and against PyTorch
graph_parity       the graphs against PyTorch, for the kinds that the reference does not run
calibration, threshold   the agent's biases and the mask's threshold, chosen on validation data
probe              a bundle that proves the pixel convention
"""
