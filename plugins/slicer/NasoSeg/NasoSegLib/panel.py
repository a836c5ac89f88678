"""The texts of the panel: progress, results, the list of slices. Main thread.

In: a job's progress, the boxes. Out: texts, and the filled table.
"""

import qt
from slicer.i18n import tr as _

from NasoSegLib.boxes import Boxes
from NasoSegLib.job import Tick


def progress(tick: Tick) -> str:
    """The text of the progress bar, by the library's stage."""
    text = {
        "start": _("starting"),
        "read": _("reading: {done} of {total}"),
        "align": _("aligning: sequence {done} of {total}"),
        "prepare": _("preparing: slice {done} of {total}"),
        "detect": _("detecting: slice {done} of {total}"),
        "segment": _("segmenting: slice {done} of {total}"),
        "contour": _("contouring: slice {done} of {total}"),
        "export": _("writing"),
    }.get(tick.stage, tick.stage)
    return text.format(done=tick.done, total=tick.total)


def demo(boxes: Boxes) -> str:
    """The warning beside a demo model's result; "" for other models."""
    if boxes is None or not boxes.document["demo"]:
        return ""
    return "{banner} {use}".format(
        banner=boxes.document["demo"]["banner"], use=boxes.document["intended_use"]
    )


def status(boxes: Boxes) -> list:
    """Lines about the whole result."""
    if boxes is None:
        return []
    document = boxes.document
    lines = [
        _("Model {model} on {device}.").format(model=document["model"], device=document["device"])
    ]
    if not document["demo"]:
        lines.append(document["intended_use"])
    if document["device_fallback"]:
        lines.append(
            _("The run fell back to the CPU: {reason}").format(reason=document["device_fallback"])
        )
    return [*lines, *document["warnings"], summary(boxes)]


def summary(boxes: Boxes) -> str:
    results = boxes.document["segmented"]
    if results is None:
        return _("Boxes found. Check them, then press Segment.")
    slices = sum(1 for one in results if one["pixels"])
    if slices == 0:
        return _(
            "No lesion found: the segmentation is empty. Step through the boxes, or give a slice a "
            "box by hand, and press Segment."
        )
    volume = sum(one["area_mm2"] for one in results) * boxes.thickness() / 1000
    return _("Segmented on {slices} of {count} slices, {volume:.1f} ml.").format(
        slices=slices, count=len(results), volume=volume
    )


def one_slice(boxes: Boxes, index: int) -> str:
    one = boxes.slices[index]
    return _("slice {slice}, z {position:.1f} mm: {words}").format(
        slice=one["slice"], position=one["position_mm"], words=boxes.words(index)
    )


def fill(table, boxes: Boxes) -> None:
    """One row per slice: number, position, area, statuses in words."""
    table.setRowCount(len(boxes) if boxes is not None else 0)
    for row in range(table.rowCount):
        one, result = boxes.slices[row], boxes.segmented(row)
        area = "" if result is None or boxes.stale(row) else f"{result['area_mm2']:.0f}"
        for column, text in enumerate(
            (str(one["slice"]), f"{one['position_mm']:.1f}", area, boxes.words(row))
        ):
            item = table.item(row, column)
            if item is None:
                item = qt.QTableWidgetItem()
                table.setItem(row, column, item)
            if item.text() != text:
                item.setText(text)
    for column in range(3):
        table.resizeColumnToContents(column)
