"""``dctnet inspect``: a picture of what a JPEG file holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dctnet.jpeg.image import JPEGImage
from dctnet.jpeg.pixels import to_pixels
from dctnet.jpeg.reader import read_jpeg
from dctnet.report.figures import picture_anatomy
from dctnet.whole_file import whole_file


def facts(image: JPEGImage) -> dict[str, str]:
    """What the file's header says, and what of the coefficients is zero, as printable text."""
    zeros = sum(int((plane == 0).sum()) for plane in image.coefficients)
    total = sum(plane.numel() for plane in image.coefficients)
    steps = [[int(step) for step in table] for table in image.quantization.tolist()]
    return {
        "size": f"{image.size[1]}x{image.size[0]}",
        "sampling": image.subsampling,
        "coding": "progressive" if image.progressive else "sequential",
        "orientation": str(image.orientation),
        "steps of DC": ", ".join(str(table[0]) for table in steps),
        "largest step": ", ".join(str(max(table)) for table in steps),
        "zero coefficients": f"{zeros / total:.1%} of {total}",
        **({"read through pixels": image.from_pixels} if image.from_pixels else {}),
    }


def inspect_files(files: Sequence[str | Path], out: str | Path) -> list[Path]:
    """Draw each file: ``out`` is the PNG for one file, and a folder of ``NAME.inspect.png`` for several; returns the PNGs.

    ValueError for several files and one PNG.
    """
    out = Path(out)
    if out.suffix.lower() == ".png" and not out.is_dir():
        if len(files) > 1:
            raise ValueError(f"--out {out} is one picture for {len(files)} files; give a folder")
        targets = [out]
    else:
        targets = [out / f"{Path(file).stem}.inspect.png" for file in files]
        # Two files of one name in different folders keep both pictures.
        targets = [
            target if targets.count(target) == 1 else target.with_name(f"{number}_{target.name}")
            for number, target in enumerate(targets)
        ]
    for file, target in zip(files, targets, strict=True):
        image = read_jpeg(file)
        pixels = to_pixels(image.coefficients, grid=image.grid).movedim(0, -1).numpy()
        planes = {
            name: plane.numpy()
            for name, plane in zip(("Y", "Cb", "Cr"), image.coefficients, strict=True)
            if len(image.sampling) == 3 or name == "Y"
        }
        with whole_file(target) as png:
            picture_anatomy(pixels, planes, facts(image), str(file), png)
    return targets
