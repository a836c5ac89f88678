"""Synthetic patients: T1, T1C and T2 of a head with a nasopharyngeal tumour, and its mask, from a
seed.

seed -> tissue   relaxation times, spin-echo signals
     -> anatomy  the atlas, deformed and painted        (atlas, noise)
     -> tumour   a front grown from the nasopharyngeal wall
     -> patient  pose, grids, motion, coil, noise       -> Phantom
Phantom -> files (DICOM, NIfTI), hardness (figures of a set of patients)
"""

from .dicom import write_dicom
from .nifti import write_nifti
from .patient import Phantom

__all__ = ["Phantom", "write_dicom", "write_nifti"]
