"""Write one patient's files: python -m nasoseg_train.phantom --seed 7 --out DIR [--format
dicom|nifti].
"""

import argparse

from . import Phantom, write_dicom, write_nifti


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m nasoseg_train.phantom", description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--out", required=True, help="folder to write into")
    parser.add_argument("--format", choices=("dicom", "nifti"), default="dicom")
    parser.add_argument("--no-tumour", action="store_true", help="a head without a tumour")
    arguments = parser.parse_args()
    phantom = Phantom(arguments.seed, tumour=not arguments.no_tumour)
    write = write_dicom if arguments.format == "dicom" else write_nifti
    write(phantom, arguments.out)
    print(
        f"{arguments.out}: seed {phantom.seed}, {phantom.t_category or 'no tumour'}, slices with "
        f"tumour {phantom.tumour_slices}"
    )


if __name__ == "__main__":
    main()
