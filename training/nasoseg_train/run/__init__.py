"""What a training run is, apart from what it learns.

config, network_config, training_config   the typed settings; presets gives them values, settings
                                          reads them from files
systems          the rows of the paper's tables as changes to a preset
training_run     the output folder of a training run and its config.json
demo_words       the words beside the results of a demo model
checkpoint       best and resumable checkpoints
step_loop, logs  the loop over batches; its figures as CSV and TensorBoard
files            files that are complete or do not exist
machine, options devices, precision, processes
"""
