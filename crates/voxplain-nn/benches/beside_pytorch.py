"""The engine beside PyTorch on the paper's network or another, in turns, in one run.

    cargo build --release
    python crates/voxplain-nn/benches/beside_pytorch.py [--model resnet18] [--rounds 4] [--seconds 3] [--only train]
        [--threads 2] [--voxplain target/release/voxplain]

Needs torch (a build for the CPU will do); `resnet18` and `densenet121` are MONAI's and need monai. Every measurement is a process of its own, so that its memory can be told:
PyTorch with contiguous volumes, PyTorch with channels last, voxplain, and so on, `--rounds` times. PyTorch gets frozen
weights where only the input's gradient is asked for, and a malloc that keeps its pages, without which it
would be up to 2.7 times slower. Printed are medians, the ratio to the better PyTorch, and the most memory each held.
"""

import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time

GRID = (58, 70, 58)
CASES = [
    ("infer", 1), ("infer", 8), ("input-gradient", 1), ("input-gradient", 8),
    ("train", 4), ("train", 8), ("perturbation", 10),
]  # fmt: skip
# Of networks other than the paper's.
LARGE_GRID = (96, 112, 96)
LARGE_CASES = [("infer", 1), ("infer", 4), ("input-gradient", 1), ("input-gradient", 4), ("train", 4)]
KEEP_PAGES = {
    "MALLOC_MMAP_THRESHOLD_": str(8 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(16 << 30),
    "MALLOC_TOP_PAD_": str(1 << 30),
}


def network(model):
    """The network as its authors or MONAI give it, with two classes."""
    from torch import nn

    if model == "resnet18":
        from monai.networks.nets import resnet18

        return resnet18(spatial_dims=3, n_input_channels=1, num_classes=2, conv1_t_stride=1, shortcut_type="B")
    if model == "densenet121":
        from monai.networks.nets import DenseNet121

        return DenseNet121(spatial_dims=3, in_channels=1, out_channels=2)
    if model == "sfcn":
        blocks = []
        for before, after in ((1, 32), (32, 64), (64, 128), (128, 256), (256, 256)):
            blocks += [nn.Conv3d(before, after, 3, padding=1), nn.BatchNorm3d(after), nn.MaxPool3d(2), nn.ReLU()]
        blocks += [nn.Conv3d(256, 64, 1), nn.BatchNorm3d(64), nn.ReLU()]
        left = tuple(n >> 5 for n in LARGE_GRID)
        return nn.Sequential(*blocks, nn.AvgPool3d(left), nn.Dropout(0.5), nn.Conv3d(64, 2, 1), nn.Flatten())
    blocks = []
    for before, after in ((1, 32), (32, 64), (64, 128)):
        blocks += [nn.Conv3d(before, after, 3), nn.BatchNorm3d(after), nn.ReLU(), nn.MaxPool3d(2)]
    return nn.Sequential(*blocks, nn.Flatten(), nn.Dropout(0.5), nn.Linear(128 * 5 * 7 * 5, 2))


def pytorch(model, workload, batch, channels_last, seconds, threads):
    """Times of one workload in milliseconds, for so many seconds; the worker's side."""
    import torch
    from torch.nn import functional as F

    torch.manual_seed(0)
    torch.set_num_threads(threads)
    layout = torch.channels_last_3d if channels_last else torch.contiguous_format
    net = network(model).to(memory_format=layout)
    grid = GRID if model == "mrinet" else LARGE_GRID
    volumes = torch.randn(batch, 1, *grid).to(memory_format=layout)

    if workload == "train":
        net.train()
        labels = torch.arange(batch) % 2
        optimizer = torch.optim.Adam(net.parameters(), lr=3e-4)

        def step():
            optimizer.zero_grad()
            F.cross_entropy(net(volumes), labels).backward()
            optimizer.step()

    else:
        net.eval().requires_grad_(workload == "infer")
        if workload == "infer":

            @torch.no_grad()
            def step():
                net(volumes)

        elif workload == "input-gradient":
            volumes.requires_grad_()

            def step():
                volumes.grad = None
                net(volumes)[:, 1].sum().backward()

        else:
            # Meaningful Perturbation: cells 4 voxels apart, upsampled and smoothed, blending the volume with its blur.
            volume = torch.randn(1, 1, *GRID)
            line = torch.exp(-0.5 * (torch.arange(-8, 9) / 2.0) ** 2)
            line = (line / line.sum()).reshape(1, 1, 17, 1, 1)

            def smooth(x):
                for axes in ((0, 1, 2, 3, 4), (0, 1, 3, 2, 4), (0, 1, 3, 4, 2)):
                    kernel = line.permute(axes).contiguous()
                    x = F.conv3d(x, kernel, padding=tuple(n // 2 for n in kernel.shape[2:]))
                return x

            blurred = smooth(volume)
            cells = torch.ones(1, 1, *(n // 4 + 1 for n in GRID), requires_grad=True)
            optimizer = torch.optim.Adam([cells], lr=0.1)
            moves = [((n % 5) - 2, (n // 2 % 5) - 2, (n // 3 % 5) - 2) for n in range(batch)]

            def step():
                optimizer.zero_grad()
                mask = smooth(F.interpolate(cells, GRID, mode="trilinear", align_corners=True))
                shown = mask * volume + (1 - mask) * blurred
                copies = torch.cat([torch.roll(shown, move, (2, 3, 4)) for move in moves])
                logits = net(copies.to(memory_format=layout))
                variation = sum((cells.diff(dim=axis).abs() ** 3).mean() for axis in (2, 3, 4))
                loss = (logits[:, 1] - logits[:, 0]).mean() + (1 - mask).mean() + variation
                loss.backward()
                optimizer.step()
                with torch.no_grad():
                    cells.clamp_(0, 1)

    step()
    times, began = [], time.perf_counter()
    while len(times) < 3 or time.perf_counter() - began < seconds:
        start = time.perf_counter()
        step()
        times.append((time.perf_counter() - start) * 1e3)
    return {"times": times, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--model", default="mrinet", choices=["mrinet", "resnet18", "densenet121", "sfcn"])
    parser.add_argument("--only")
    built = pathlib.Path(__file__).resolve().parents[3] / "target" / "release" / "voxplain"
    parser.add_argument("--voxplain", type=pathlib.Path, default=built, help="the command that is measured")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        workload, batch, layout = given.worker
        found = pytorch(given.model, workload, int(batch), layout == "last", given.seconds, given.threads)
        print(json.dumps(found))
        return

    cases, grid = (CASES, GRID) if given.model == "mrinet" else (LARGE_CASES, LARGE_GRID)
    # Of a large network a repeat takes a second.
    repeats = "15" if given.model == "mrinet" else "3"
    print(f"{'workload':15s} {'batch':>5s} {'contiguous':>11s} {'chan. last':>11s} {'voxplain':>9s} {'ratio':>6s} {'torch MB':>9s} {'ours MB':>8s}")
    for workload, batch in cases:
        if given.only not in (None, workload):
            continue
        times, peaks = {}, {}
        for _ in range(given.rounds):
            for layout in ("first", "last"):
                command = [sys.executable, __file__, "--model", given.model, "--worker", workload, str(batch), layout]
                command += ["--seconds", str(given.seconds), "--threads", str(given.threads)]
                result = json.loads(subprocess.check_output(command, env={**os.environ, **KEEP_PAGES}))
                times.setdefault(layout, []).extend(result["times"])
                peaks[layout] = min(peaks.get(layout, 1e9), result["peak_mb"])
            command = [given.voxplain, "bench", "--model", given.model, "--grid", "x".join(map(str, grid))]
            command += ["--workload", workload, "--batch", str(batch), "--threads", str(given.threads)]
            result = json.loads(subprocess.check_output([*command, "--repeats", repeats, "--json"]))
            times.setdefault("ours", []).append(result["median_ms"])
            peaks["ours"] = result["peak_rss_mb"] or float("nan")
        first, last, mine = (statistics.median(times[name]) for name in ("first", "last", "ours"))
        theirs = peaks["first"] if first < last else peaks["last"]
        print(
            f"{workload:15s} {batch:5d} {first:11.1f} {last:11.1f} {mine:9.1f} {min(first, last) / mine:6.2f}"
            f" {theirs:9.0f} {peaks['ours']:8.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
