"""What the NasoSeg module is made of: one room per file.

    logic               what the buttons do, without the panel                          (main thread)
    volumes, dicom      what the user selected: voxels, affines, DICOM files            (main thread, MRML)
    package             the `nasoseg` package: found, installed, loaded
    session, job        detect, segment, contour                                        (worker thread, neither MRML nor Qt)
    boxes               the boxes of a detection, and what the user made of them        (plain Python)
    panel               the panel's words and tables                                    (main thread, Qt)
    scene               what is shown: box, segmentation, outline, the agent's walk     (main thread, MRML)

Patient coordinates are LPS, mm, as in nasoseg, except where a name ends in `_ras`.
"""
