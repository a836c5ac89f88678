"""A bundle and a dataset's split in, figures out; figures of many runs in, the paper's tables out.

program       one case through `nasoseg run`
rows          a slice's and a case's figures, as CSV
score         a run and the truth -> rows
summary       rows -> evaluation.json
subgroups     rows and covariates -> Tables 7 and 8
report, plots evaluation.json, rows, images -> report.md, PNG
paper         the paper's figures
tables        evaluation.json of many runs -> Tables 1 to 8
orderings     the paper's claims against the same files
"""
