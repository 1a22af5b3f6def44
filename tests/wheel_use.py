"""Check that an installed dctnet works: its extensions against Pillow and SciPy, its command from another folder.

Usage: python tests/wheel_use.py           # the dctnet of this interpreter, which must not be a checkout
       python tests/wheel_use.py WHEEL     # of the wheel, in an environment of its own that borrows this one's dependencies
"""

import io
import subprocess
import sys
import tempfile
import venv
from pathlib import Path


def use() -> None:
    """AssertionError, or whatever else fails, where dctnet does not do what it says."""
    import numpy as np
    import torch
    from PIL import Image
    from scipy.fft import dctn

    import dctnet
    from dctnet.dct import block_dct

    assert "site-packages" in dctnet.__file__, f"{dctnet.__file__} is no installed package"
    generator = np.random.default_rng(0)
    small = Image.fromarray(generator.integers(0, 256, (15, 20, 3), dtype=np.uint8))
    file = io.BytesIO()
    small.resize((203, 117), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90, subsampling="4:2:0")
    shown = torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1)
    image = dctnet.read_jpeg(file.getvalue())
    assert (image.size, image.subsampling) == ((117, 203), "4:2:0"), image
    assert torch.equal(dctnet.to_pixels(image), shown), "pixels are not those of Pillow"
    again = np.array(Image.open(io.BytesIO(dctnet.write_jpeg(image))))
    assert torch.equal(torch.from_numpy(again).permute(2, 0, 1), shown), "what was written is another picture"

    samples = generator.standard_normal((16, 24))
    theirs = dctn(samples.reshape(2, 8, 3, 8).transpose(0, 2, 1, 3), axes=(2, 3), norm="ortho").reshape(2, 3, 64)
    ours = block_dct(torch.from_numpy(samples.astype(np.float32))[None], 8)[0]
    assert np.abs(ours.permute(1, 2, 0).numpy().reshape(2, 3, 64) - theirs).max() < 1e-5, "block_dct is no DCT-II"

    command = Path(sys.executable).parent / "dctnet"
    with tempfile.TemporaryDirectory() as elsewhere:
        for arguments in (["--help"], ["prepare", "digits", "digits"], ["summary", "late_concat", "--size", "64"]):
            done = subprocess.run([command, *arguments], cwd=elsewhere, capture_output=True, text=True, check=False)
            assert done.returncode == 0 and done.stdout, (arguments, done.stderr)
    print(f"dctnet {dctnet.__version__} of {Path(dctnet.__file__).parent} works on Python {sys.version.split()[0]}")


def use_wheel(wheel: str) -> int:
    """The exit status of this program in an environment where the wheel is installed."""
    with tempfile.TemporaryDirectory() as place:
        venv.create(place, with_pip=False, symlinks=True)
        python = Path(place) / "bin" / "python"
        (packages,) = (Path(place) / "lib").glob("python*/site-packages")
        borrowed = [entry for entry in sys.path if entry.endswith("site-packages")]
        (packages / "borrowed.pth").write_text(
            "\n".join(borrowed)
        )  # behind its own; their editable installs do not count
        pip = [sys.executable, "-m", "pip", "--python", str(python), "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "--no-deps", "--ignore-installed", wheel], check=True)
        return subprocess.run([python, __file__], cwd=place, check=False).returncode


if __name__ == "__main__":
    sys.exit(any(list(map(use_wheel, sys.argv[1:]))) if sys.argv[1:] else use())
