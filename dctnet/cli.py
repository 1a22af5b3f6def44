"""The command line: one dict from the name of a command to the function that runs it.

A command imports what it needs when it is called, so ``dctnet --help`` waits for nothing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from importlib import import_module

from dctnet import __version__

HELP = """usage: dctnet COMMAND ...

Convolutional networks on the DCT coefficients inside JPEG files.

  dctnet prepare NAME [FOLDER]          make or convert a data set: digits, cifar10, cifar100, clothing, folder, imagenet
  dctnet fit --config NAME              train; NAME is a run that comes with dctnet (digits, ...) or a YAML file
  dctnet validate --config NAME         loss and accuracy of the trained network on the validation files
  dctnet test --config NAME             the same on the test files
  dctnet predict CHECKPOINT FILE...     what is in these JPEG files (or folders of them)?
  dctnet summary NETWORK ...            what each stage of a network gives and costs
  dctnet export CHECKPOINT OUT.onnx     the trained network as an ONNX file
  dctnet card CHECKPOINT OUT.md         a model card of the trained network
  dctnet attack CHECKPOINT FOLDER ...   attacks on the trained network, with and without lossy channels in front of it
  dctnet transform SOURCE TARGET ...    crop, turn, mirror or resize a folder of JPEG files, without decoding to pixels
  dctnet inspect FILE...                a picture of what a JPEG file holds: planes, coefficients, energy of the bands
  dctnet pack FOLDER STORE              decode a data set once, into a store that is read without decoding
  dctnet stats FOLDER                   mean, deviation and energy of each band of a folder of JPEG files
  dctnet bench NAME ...                 measure dctnet beside other software
  dctnet report RESULTS OUT.html        one page of all that was measured, and of what was claimed

dctnet COMMAND --help says more; dctnet --version prints the version. For a first run, in an empty folder:

  dctnet prepare digits
  dctnet fit --config digits
  dctnet predict runs/digits/best.ckpt data/digits/val
"""


def run_fit(arguments: list[str]) -> None:
    """Train."""
    import_module("dctnet.training.commands").run_trainer("fit", arguments)


def run_validate(arguments: list[str]) -> None:
    """Loss and accuracy on the validation files."""
    import_module("dctnet.training.commands").run_trainer("validate", arguments)


def run_test(arguments: list[str]) -> None:
    """Loss and accuracy on the test files."""
    import_module("dctnet.training.commands").run_trainer("test", arguments)


def run_predict(arguments: list[str]) -> int:
    """Classify files; 1 where none could be read."""
    parser = argparse.ArgumentParser(
        prog="dctnet predict", description="The most probable classes of JPEG files, by a network that dctnet trained."
    )
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="best.ckpt or last.ckpt of a run")
    parser.add_argument("files", metavar="FILE_OR_FOLDER", nargs="+", help="JPEG files, or folders to search for them")
    parser.add_argument("--top", type=int, default=5, metavar="K", help="how many classes to show (default 5)")
    parser.add_argument("--out", metavar="TABLE.csv", help="write the table here as well, one row a file")
    parser.add_argument(
        "--rows", type=int, default=50, metavar="N", help="print at most N rows (default 50); --out has all"
    )
    parser.add_argument("--batch_size", type=int, default=64, metavar="N", help="files at a time (default 64)")
    parser.add_argument("--workers", type=int, default=0, metavar="N", help="reading processes (default 0)")
    parser.add_argument("--device", help="cpu, cuda, cuda:1, ... (default: a GPU if there is one)")
    options = parser.parse_args(arguments)
    return import_module("dctnet.training.predict").predict_files(**vars(options))


def run_summary(arguments: list[str]) -> None:
    """A table of a network."""
    parser = argparse.ArgumentParser(
        prog="dctnet summary",
        description="What each stage of a network gives and costs: its output, parameters, multiply-adds, receptive field.",
    )
    parser.add_argument("network", metavar="NETWORK", help="a name of dctnet.list_models(), or the checkpoint of a run")
    parser.add_argument(
        "--size", type=int, nargs="+", default=[224], metavar="N", help="a side, or height and width (224)"
    )
    parser.add_argument(
        "--options",
        default="{}",
        metavar="YAML",
        help="of dctnet.create_model, such as '{depth: 18, block_size: [4, 2]}'",
    )
    options = parser.parse_args(arguments)
    import_module("dctnet.training.summarise").print_summary(options.network, options.size, options.options)


def run_export(arguments: list[str]) -> None:
    """Write an ONNX file."""
    parser = argparse.ArgumentParser(
        prog="dctnet export",
        description="The network of a checkpoint as an ONNX file with the inputs y, cb and cr, batches of any number. Its "
        "metadata say what the inputs are: classes, sizes, blocks, bands, mean and deviation.",
    )
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="best.ckpt or last.ckpt of a run")
    parser.add_argument("out", metavar="OUT.onnx", help="the file to write")
    parser.add_argument("--larger", action="store_true", help="for larger pictures as well, up to 16 times each side")
    import_module("dctnet.training.export").export_command(**vars(parser.parse_args(arguments)))


def run_card(arguments: list[str]) -> None:
    """Write a model card."""
    parser = argparse.ArgumentParser(
        prog="dctnet card",
        description="A model card of the network of a checkpoint, from the run folder that it lies in.",
    )
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="best.ckpt or last.ckpt of a run")
    parser.add_argument("out", metavar="OUT.md", help="the file to write")
    import_module("dctnet.training.card").write_card(**vars(parser.parse_args(arguments)))


def run_prepare(arguments: list[str]) -> None:
    """Make a data set."""
    parser = argparse.ArgumentParser(
        prog="dctnet prepare",
        description="Makes a data set as FOLDER/train/CLASS/*.jpg and FOLDER/val/CLASS/*.jpg.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="data sets:\n"
        "  digits    1,797 handwritten digits over photographs, made on the spot in seconds, no network needed\n"
        "  cifar10   downloaded; or --source: a folder with cifar-10-batches-py/, or a zip or folder of JPEG files\n"
        "  cifar100  the same with cifar-100-python/\n"
        "  clothing  --source: a zip or folder with train/CLASS/*.jpg and validation/CLASS/*.jpg\n"
        "  folder    --source: your own pictures as SOURCE/CLASS/*.jpg; a fifth of each class becomes validation\n"
        "  imagenet  --source: the folder with ILSVRC2012's pictures or archives; they are linked, not copied\n",
    )
    parser.add_argument("name", metavar="NAME", help="which data set")
    parser.add_argument("folder", metavar="FOLDER", nargs="?", help="where (default data/NAME)")
    parser.add_argument("--source", metavar="PATH", help="a folder or archive that you have already")
    options = parser.parse_args(arguments)
    import_module("dctnet.data.recipes").prepare(options.name, options.folder, options.source)


def run_transform(arguments: list[str]) -> int:
    """Change a folder of files; 1 where some could not be read."""
    return import_module("dctnet.data.transform_command").main(arguments)


def run_attack(arguments: list[str]) -> int:
    """Attack a network."""
    return import_module("dctnet.robustness.attack_command").main(arguments)


def run_report(arguments: list[str]) -> int:
    """Write one page of result files."""
    return import_module("dctnet.findings.report_command").main(arguments)


def run_inspect(arguments: list[str]) -> None:
    """Draw what files hold."""
    parser = argparse.ArgumentParser(
        prog="dctnet inspect",
        description="Draws what JPEG files hold: the picture, its planes of coefficients, the energy of each band.",
    )
    parser.add_argument("files", metavar="FILE", nargs="+", help="JPEG files")
    parser.add_argument("--out", metavar="PATH", default=".", help="a PNG for one file, or a folder (default: here)")
    options = parser.parse_args(arguments)
    for picture in import_module("dctnet.jpeg.inspect").inspect_files(options.files, options.out):
        print(picture)


def run_pack(arguments: list[str]) -> int:
    """Pack a data set; 1 where ``--verify`` finds damage."""
    return import_module("dctnet.data.pack_command").main(arguments)


def run_stats(arguments: list[str]) -> None:
    """Measure the bands of a folder."""
    parser = argparse.ArgumentParser(
        prog="dctnet stats",
        description="Measures the mean, deviation, energy and peak of each band of Y, Cb and Cr over all JPEG files below "
        "FOLDER, and writes the card that Normalize.from_card, Quantize.from_card and bands by energy read.",
    )
    parser.add_argument("folder", metavar="FOLDER", help="a folder of JPEG files, sub-folders included")
    parser.add_argument("--out", metavar="CARD.yaml", help="the file to write (default: the standard output)")
    parser.add_argument(
        "--block_size",
        type=int,
        nargs="+",
        default=[8],
        metavar="N",
        help="1 to 32, or two for luma and chroma (default 8)",
    )
    parser.add_argument(
        "--resize", type=int, metavar="SIDE", help="bring the shorter side of each picture to SIDE first"
    )
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="threads (default 2)")
    options = vars(parser.parse_args(arguments))
    sizes = options.pop("block_size")
    block_size = import_module("dctnet.coefficients").block_sizes(sizes[0] if len(sizes) == 1 else tuple(sizes))
    import_module("dctnet.data.measure").write_card(**options, block_size=block_size)


def run_bench(arguments: list[str]) -> None:
    """Measure."""
    parser = argparse.ArgumentParser(prog="dctnet bench", description="Measures dctnet beside other software.")
    parser.add_argument("name", choices=BENCHMARKS, help="what to measure")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="for the benchmark; see dctnet bench NAME --help")
    options = parser.parse_args(arguments)
    import_module(f"dctnet.benchmarks.{options.name}").main(options.arguments)


BENCHMARKS = ("read", "dali", "loaders", "transforms", "activations", "models", "pretrained", "convolutions", "imports")

COMMANDS: dict[str, Callable[[list[str]], int | None]] = {
    "prepare": run_prepare,
    "fit": run_fit,
    "validate": run_validate,
    "test": run_test,
    "predict": run_predict,
    "summary": run_summary,
    "export": run_export,
    "card": run_card,
    "attack": run_attack,
    "transform": run_transform,
    "inspect": run_inspect,
    "pack": run_pack,
    "stats": run_stats,
    "bench": run_bench,
    "report": run_report,
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status.

    0; 1 where ``predict`` could read no file, or ``transform`` not all of them, or a reading worker was killed; 2 with one
    line on stderr for what the user can put right.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(HELP, end="")
        return 0
    if arguments[0] in ("-V", "--version"):
        print(f"dctnet {__version__}")
        return 0
    command, *rest = arguments
    if command not in COMMANDS:
        print(f"dctnet: there is no command {command!r}; there are: {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    try:
        return COMMANDS[command](rest) or 0
    except (ValueError, OSError) as error:
        # What dctnet raises for a user's data and arguments is a ValueError (DataError, JPEGError) or a file's OSError.
        if not is_for_users(error):
            raise
        print(f"dctnet {command}: {error}", file=sys.stderr)
        return 1 if isinstance(error, ChildProcessError) else 2


def is_for_users(error: BaseException) -> bool:
    """Whether the error was raised by dctnet itself, or is about a file: then its message says what to do."""
    if isinstance(error, OSError):
        return True
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith("dctnet.")


if __name__ == "__main__":
    sys.exit(main())
