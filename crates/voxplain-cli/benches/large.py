#!/usr/bin/env python3
"""What each verb takes of time and memory for 100, 1,000 and 10,000 people: the table of docs/performance.md.

    cargo build --release --workspace --examples --bins
    python3 crates/voxplain-cli/benches/large.py target/release/voxplain FOLDER 100 1000 10000

needs NumPy, and of 10,000 people 30 GB in FOLDER. A hundred people are simulated, 58 x 70 x 58 voxels of 3 mm. From these as many as are
asked for are made (blends of two of a class, moved by some voxels, with noise) and written as NIfTI files for `prepare`, which keeps them in
half precision. What is trained is two folds of `mrinet` for one epoch, so that its time is that of an epoch.

Times are of the processor (user and system), so that what else the machine does hardly counts; memory is the most that the process held.
Every step is written to FOLDER/large.tsv as it ends, and a step that is there already is not run again.
"""

import json
import math
import os
import pathlib
import shutil
import subprocess
import sys
import time
import urllib.request

GRID, SPACING = (58, 70, 58), 3


def run(command):
    """Processor seconds, seconds and megabytes of a command that must succeed."""
    began = time.monotonic()
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"failed with status {os.waitstatus_to_exitcode(status)}: {' '.join(map(str, command))}")
    return usage.ru_utime + usage.ru_stime, time.monotonic() - began, usage.ru_maxrss / 1024


def images(cohort, folder, people):
    """Writes people made from those of a cohort as NIfTI files, as a scanner's reconstruction would be: whole numbers, a mask beside each."""
    import numpy as np

    folder.mkdir(parents=True, exist_ok=True)
    volumes = np.load(cohort / "volumes.npy").reshape(-1, *GRID).astype(np.float32)
    masks = np.load(cohort / "masks.npy").reshape(-1, *GRID).astype(bool)
    affine = json.loads((cohort / "cohort.json").read_text())["subjects"][0]["grid"]["affine"]
    head, *rows = [line.split("\t") for line in (cohort / "participants.tsv").read_text().splitlines()]
    label, age = head.index("label"), head.index("age")
    header = np.zeros(352, np.uint8)

    def put(at, kind, *values):
        data = np.array(values, kind).view(np.uint8)
        header[at : at + data.size] = data

    put(0, "<i4", 348)
    put(40, "<i2", 3, *GRID, 1, 1, 1, 1)
    put(76, "<f4", 1, *[SPACING] * 3)
    put(108, "<f4", 352)
    put(252, "<i2", 0, 2)
    put(280, "<f4", *np.array(affine, float).ravel()[:12])
    header[344:348] = np.frombuffer(b"n+1\0", np.uint8)
    table = ["participant_id\tlabel\tage"]
    for n in range(people):
        random = np.random.default_rng(n)
        one = n % len(rows)
        other = random.choice([m for m, row in enumerate(rows) if row[label] == rows[one][label]])
        share = random.uniform(0.5, 0.8)
        moved = tuple(random.integers(-2, 3, 3))
        blend = share * volumes[one] + (1 - share) * volumes[other] + 0.2 * random.standard_normal(GRID, np.float32)
        brain, blend = np.roll(masks[one], moved, (0, 1, 2)), np.roll(blend, moved, (0, 1, 2))
        values = np.where(brain, np.clip(1000 + 200 * blend, 1, 32000), 0)
        name = f"sub-{n + 1:05}"
        put(70, "<i2", 4, 16)
        (folder / f"{name}.nii").write_bytes(header.tobytes() + values.astype("<i2").tobytes(order="F"))
        put(70, "<i2", 2, 8)
        (folder / f"{name}_mask.nii").write_bytes(header.tobytes() + brain.astype("u1").tobytes(order="F"))
        table.append(f"{name}\t{rows[one][label]}\t{float(rows[one][age]) + random.normal():.1f}")
    (folder / "participants.tsv").write_text("\n".join(table) + "\n")


def served(voxplain, run_folder, cohort):
    """The same of a server that gives the page once."""
    began = time.monotonic()
    process = subprocess.Popen(
        [voxplain, "serve", run_folder, "--cohort", cohort], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    address = None
    for line in process.stdout:
        found = [word for word in line.split() if word.startswith("http://")]
        if found:
            address = found[0]
            break
    urllib.request.urlopen(address).read()
    process.terminate()
    process.stdout.close()
    _, _, usage = os.wait4(process.pid, 0)
    return usage.ru_utime + usage.ru_stime, time.monotonic() - began, usage.ru_maxrss / 1024


def steps(voxplain, folder, people):
    """Name of each step and what runs it."""
    made, cohort, sex = folder.parent / "simulated", folder / "cohort", folder / "run"
    raw = folder / "images"
    grid = "x".join(map(str, GRID))
    if not (made / "cohort.json").exists():
        run([voxplain, "simulate", "--subjects", 100, "--grid", grid, "--spacing", SPACING, "--out", made])
    yield "prepare", lambda: (
        # By a process of its own: what this one holds would count as memory of those that it starts.
        (raw / "participants.tsv").exists() or run([sys.executable, __file__, "--images", made, raw, people]),
        run([
            *[voxplain, "prepare", raw, "--participants", raw / "participants.tsv", "--mask", "_mask.nii"],
            *["--spacing", SPACING, "--grid", grid, "--dtype", "float16", "--out", cohort],
        ]),
    )[1]
    yield "prepare again, nothing to do", lambda: run([
        *[voxplain, "prepare", raw, "--participants", raw / "participants.tsv", "--mask", "_mask.nii"],
        *["--spacing", SPACING, "--grid", grid, "--dtype", "float16", "--out", cohort],
    ])
    train = [voxplain, "train", cohort, "--label", "label", "--folds", 2, "--epochs", 1]
    yield "train, 2 folds of an epoch, with baselines", lambda: run([*train, "--near-duplicates", "off", "--out", sex])
    # What `train` does first, unless --near-duplicates is off.
    likeness = voxplain.parent / "examples" / "likeness"
    yield "the search for copies alone", lambda: run([likeness, cohort, "--no-copies"])
    yield "explain, Grad-CAM", lambda: run([
        *[voxplain, "explain", sex, "--cohort", cohort, "--method", "grad-cam", "--no-native"]
    ])
    yield "group", lambda: run([voxplain, "group", sex, "--cohort", cohort])
    yield "regions", lambda: run([
        *[voxplain, "regions", sex, "--cohort", cohort, "--atlas", made / "atlas.nii.gz", "--labels", made / "atlas.tsv"]
    ])
    yield "compare, 100 permutations", lambda: run([
        *[voxplain, "compare", sex, "--cohort", cohort, "--design", "label", "--method", "grad-cam"],
        *["--permutations", 100, "--out", folder / "compared"],
    ])
    yield "status --check", lambda: run([voxplain, "status", sex, "--check"])
    yield "report", lambda: run([voxplain, "report", sex, "--cohort", cohort])
    yield "serve, one page", lambda: served(voxplain, sex, cohort)


def main():
    if sys.argv[1] == "--images":
        return images(pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]), int(sys.argv[4]))
    voxplain, root, sizes = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]), sys.argv[3:]
    table = root / "large.tsv"
    root.mkdir(parents=True, exist_ok=True)
    found = {}
    if table.exists():
        for line in table.read_text().splitlines():
            people, step, *numbers = line.split("\t")
            found[int(people), step] = [float(n) for n in numbers]
    for people in map(int, sizes):
        for step, measure in steps(voxplain, root / str(people), people):
            if (people, step) in found:
                continue
            found[people, step] = measure()
            numbers = "\t".join(f"{n:.2f}" for n in found[people, step])
            with table.open("a") as out:
                print(people, step, numbers, sep="\t", file=out)
            print(people, step, numbers, flush=True)
        shutil.rmtree(root / str(people) / "images", ignore_errors=True)
    names = list(dict.fromkeys(step for _, step in found))
    sizes = sorted({people for people, _ in found})
    print("| | " + " | ".join(f"{people:,} people: s | MB" for people in sizes) + " | grows with people to the power |")
    print("|---" * (2 * len(sizes) + 2) + "|")
    for step in names:
        cells = [found.get((people, step)) for people in sizes]
        shown = [f"{c[0]:.3g} | {c[2]:.0f}" if c else " | " for c in cells]
        law = ""
        if len(cells) > 1 and cells[-1] and cells[-2] and cells[-2][0] > 0:
            law = f"{math.log(cells[-1][0] / cells[-2][0]) / math.log(sizes[-1] / sizes[-2]):.2f}"
        print(f"| {step} | " + " | ".join(shown) + f" | {law} |")


if __name__ == "__main__":
    main()
