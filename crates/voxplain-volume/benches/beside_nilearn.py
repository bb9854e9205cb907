"""Reading and resampling one image: voxplain beside nibabel and nilearn, in turns, in one run.

    cargo build --release -p voxplain-volume --example read_speed
    python crates/voxplain-volume/benches/beside_nilearn.py T1.nii.gz

Both read the file, apply its scaling, turn it to RAS+ and bring it to 3 mm by trilinear interpolation on the same
grid. Needs numpy, nibabel and nilearn. Prints medians, their ratio, and the sums of both results, which must agree.
"""

import json
import pathlib
import statistics
import subprocess
import sys
import time
import warnings

import nibabel as nib
import numpy as np
from nilearn.image import resample_img

ROUNDS = 7


def theirs(path):
    start = time.perf_counter()
    image = nib.as_closest_canonical(nib.load(path))
    image = nib.Nifti1Image(image.get_fdata(dtype=np.float32), image.affine)
    read = time.perf_counter()
    spacing = np.array(image.header.get_zooms()[:3], float)
    shape = np.ceil(np.array(image.shape) * spacing / 3 - 1e-9).astype(int)
    affine = image.affine @ np.diag([*(3 / spacing), 1])
    small = resample_img(
        image, target_affine=affine, target_shape=tuple(shape), interpolation="linear", force_resample=True, copy_header=True
    )
    end = time.perf_counter()
    return (read - start) * 1e3, (end - read) * 1e3, float(np.asarray(small.dataobj, float).sum())


def main():
    path = sys.argv[1]
    root = pathlib.Path(__file__).resolve().parents[3]
    ours = root / "target" / "release" / "examples" / "read_speed"
    warnings.simplefilter("ignore")
    theirs(path)
    rows = {"nibabel + nilearn": [], "voxplain": []}
    for _ in range(ROUNDS):
        rows["nibabel + nilearn"].append(theirs(path))
        result = json.loads(subprocess.check_output([ours, path, "9"]))
        rows["voxplain"].append((result["read_ms"], result["resample_ms"], result["sum"]))
    totals = {}
    for name, times in rows.items():
        read, resample = (statistics.median(t[part] for t in times) for part in (0, 1))
        totals[name] = read + resample
        print(f"{name:18s} read {read:7.1f} ms, resample {resample:7.1f} ms, sum of values {times[0][2]:.6g}")
    print(f"ratio {totals['nibabel + nilearn'] / totals['voxplain']:.1f}")


if __name__ == "__main__":
    main()
