"""Measures a bundle on a split of a data set, and fills the paper's tables.

nasoseg_run     one case through `nasoseg run`
rows            the figures of a slice and of a case, as CSV
case_figures    the output of a case and the truth -> rows
summary         rows -> evaluation.json
subgroups       rows and covariates -> Tables 7 and 8
report, plots   evaluation.json, rows, images -> report.md, PNG
paper           the paper's figures
paper_tables    evaluation.json of many training runs -> Tables 1 to 8
orderings       the paper's claims, checked against the same files
"""
