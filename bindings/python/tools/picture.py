"""The picture of `nasoseg.show` in docs/images: the demo model on the demo's study.

    make demo
    bindings/python/.venv/bin/python bindings/python/tools/picture.py \\
        out/demo/study docs/images/show.png
"""

import sys
from pathlib import Path

import nasoseg


def main(study_folder: str, out: str) -> None:
    engine = nasoseg.Engine(nasoseg.demo_bundle(), device="cpu")
    study = nasoseg.Study(*(Path(study_folder) / name for name in ("T1", "T1C", "T2")))
    detection = engine.detect(study)
    contours = engine.segment(study, detection).contour()
    with_contour = {ring.storage_slice for ring in contours}
    middle = [index for index, s in enumerate(detection) if s.storage_slice in with_contour][
        1:-1:2
    ][:4]
    figure = nasoseg.show(detection, contours, index=middle, columns=4)
    figure.savefig(out, facecolor=figure.get_facecolor(), dpi=110)


if __name__ == "__main__":
    main(*sys.argv[1:])
