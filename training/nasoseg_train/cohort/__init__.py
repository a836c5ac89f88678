"""Patients of a cohort in, a data set for training out.

public set | list | phantoms by seed
    -> sources      who there is, which files are whose; what is missing is named
    -> program      `nasoseg prepare` aligns each patient, as deployment does
    -> prepare_case one patient's folder, whole or not at all
    -> split        train, validation, test, patient by patient
    -> fingerprint  figures of the training split; report.md
"""
