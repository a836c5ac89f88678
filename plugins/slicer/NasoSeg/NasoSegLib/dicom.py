"""The DICOM files that a volume was loaded from.

In: a volume node with the attribute DICOM.instanceUIDs. Out: paths of its files, from Slicer's
DICOM database.
"""

from slicer.i18n import tr as _

from NasoSegLib.errors import UserError


def database_files(uid: str) -> str:
    """The file of a SOP instance in Slicer's DICOM database; "" if it has none."""
    import slicer

    database = getattr(slicer, "dicomDatabase", None)
    return database.fileForInstance(uid) if database is not None and database.isOpen else ""


def files(node, file_of=database_files) -> tuple:
    """() for a volume that did not come from DICOM."""
    uids = (node.GetAttribute("DICOM.instanceUIDs") or "").split() if node is not None else []
    found = [file_of(uid) for uid in uids]
    return tuple(dict.fromkeys(found)) if all(found) else ()


def why_no_structure_set(node, file_of=database_files) -> str:
    """Why T1C cannot carry an RT Structure Set, and what to do; "" if it can."""
    if node is None:
        return _("T1C: no volume is selected.")
    name = node.GetName()
    parent = node.GetParentTransformNode()
    if parent is not None:
        return _(
            "T1C ({name}) is under the transform {transform}, so it is not at the place of its "
            "DICOM images, and a structure set on these would be misplaced. Take {name} out of the "
            "transform; to keep the sequences together, put T1 and T2 under its inverse, or harden "
            "that on them. Then press Segment NPC again."
        ).format(name=name, transform=parent.GetName())
    uids = (node.GetAttribute("DICOM.instanceUIDs") or "").split()
    if not uids:
        return _(
            "T1C ({name}) was not loaded from DICOM, so there are no images that an RT Structure "
            "Set could refer to. Import the DICOM files with Slicer's DICOM module, load T1C from "
            "there and press Segment NPC again. The segmentation can be saved in any case."
        ).format(name=name)
    missing = sum(1 for uid in uids if not file_of(uid))
    if missing:
        return _(
            "{missing} of the {count} DICOM files of T1C ({name}) are no longer in Slicer's DICOM "
            "database. Import them again with the DICOM module, then press Segment NPC again."
        ).format(missing=missing, count=len(uids), name=name)
    return ""


def refuse(node, file_of=database_files) -> None:
    reason = why_no_structure_set(node, file_of)
    if reason:
        raise UserError(reason)
