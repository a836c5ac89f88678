"""Builds a data set for training from the patients of a cohort.

public set | list | phantoms by seed
    -> sources          the patients and their files; what is missing is named
    -> nasoseg_prepare  `nasoseg prepare` aligns each patient, as deployment does
    -> case             one patient's folder, complete or not at all
    -> split            train, validation, test, patient by patient
    -> fingerprint      figures of the training split; report.md
"""
