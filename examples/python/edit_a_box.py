"""Corrects what the detector found: prints the box of every slice, moves the box in the middle of
the lesion, clears the lowest box of the lesion, segments again and prints the areas before and
after. Install the package with ONNX Runtime (`make wheel` in the repository, then
`pip install "$(ls dist/*.whl)[cpu]"`) and run it:

    python edit_a_box.py study/T1 study/T1C study/T2 models/demo
"""

import sys

import nasoseg


def edit_a_box(t1: str, t1c: str, t2: str, bundle: str) -> None:
    engine = nasoseg.Engine(bundle)
    study = nasoseg.Study(t1, t1c, t2)
    detection = nasoseg.detect(engine, study)
    for s in detection:
        if s.box is None:
            print(f"slice {s.slice}: no box")
        else:
            print(f"slice {s.slice}: box", *(f"{edge:.1f}" for edge in s.box))
    before = nasoseg.segment(engine, study, detection)

    inside = [index for index, s in enumerate(before.slices) if s.pixels > 0]
    if inside:
        # Boxes are pixel edges on the model's square grid, 0 to detection.grid. This one moves to
        # the right by half of its width, or as far as the grid goes.
        middle = (inside[0] + inside[-1]) // 2
        box = detection[middle].box
        if box is not None:
            shift = min((box.x1 - box.x0) / 2, detection.grid - box.x1)
            detection.set_box(middle, (box.x0 + shift, box.y0, box.x1 + shift, box.y1))
            print(f"slice {detection[middle].slice}: box moved by {shift:.1f} pixels")
        detection.clear_box(inside[0])
        print(f"slice {detection[inside[0]].slice}: box cleared")

    after = nasoseg.segment(engine, study, detection)
    for old, new in zip(before.slices, after.slices):
        print(f"slice {old.slice}: {old.area_mm2:.1f} mm2 before, {new.area_mm2:.1f} mm2 after")
    print("edited:", "yes" if after.edited else "no")


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit("usage: edit_a_box.py T1 T1C T2 BUNDLE")
    try:
        edit_a_box(*sys.argv[1:])
    except nasoseg.Error as error:
        sys.exit(str(error))
