"""The parts of the NasoSeg module, one file each.

    logic               the actions of the buttons, without the panel       (main thread)
    volumes, dicom      the selected volumes: voxels, affines, DICOM files  (main thread, MRML)
    distribution        which package nasoseg is installed, and whether the extension can use it
    wheelfile           the wheel's file that the user chose, before pip sees it
    package             the package nasoseg, installed and loaded
    session, job        detect, segment, contour                            (worker thread)
    boxes               the boxes of a detection, and the user's edits      (plain Python)
    panel, editing      the panel's texts and tables; stepping and editing  (main thread, Qt)
    scene               box, segmentation, contours, the agent's trajectory (main thread, MRML)

The worker thread uses neither MRML nor Qt. Patient coordinates are LPS, mm, as in nasoseg, unless a
name ends in `_ras`.
"""
