"""Check a built wheel: ``dctnet/`` alone, with the extensions, their types, the data cards and the run configurations inside.

A wheel for Linux has to be one that runs on any (manylinux), so it has been through auditwheel, and to bring no library.

Usage: python tests/wheel_contents.py WHEEL...
"""

import sys
import zipfile
from pathlib import Path


def check(wheel: str) -> list[str]:
    """What is wrong with the wheel, a sentence each."""
    names = zipfile.ZipFile(wheel).namelist()
    root = Path(__file__).resolve().parents[1]
    found = []
    for name in names:
        if name.split("/")[0] != "dctnet" and ".dist-info" not in name.split("/")[0]:
            found.append(f"{name} lies outside of dctnet/")
        if name.endswith((".cpp", ".hpp")):
            found.append(f"{name} is source of the extension")
    for room in ("jpeg", "kernels"):
        if not any(name.startswith(f"dctnet/{room}/_native.") and name.endswith((".so", ".pyd")) for name in names):
            found.append(f"the extension dctnet/{room}/_native is missing")
        if f"dctnet/{room}/_native.pyi" not in names:
            found.append(f"the types of the extension, dctnet/{room}/_native.pyi, are missing")
    if "dctnet/py.typed" not in names:
        found.append("dctnet/py.typed is missing")
    if "-linux_" in wheel:
        found.append("it is no manylinux wheel: auditwheel repair")
    license = [name for name in names if name.endswith(".dist-info/licenses/LICENSE")]
    if len(license) != 1:
        found.append("it has no license")
    for source, target in (("data", "cards"), ("data/statistics", "statistics"), ("models", "configs")):
        for file in (root / source).glob("*.yaml"):
            if f"dctnet/{target}/{file.name}" not in names:
                found.append(f"{source}/{file.name} is missing as dctnet/{target}/{file.name}")
    for file in ("findings/claims.yaml", "report/page.css", "report/page.js"):
        if f"dctnet/{file}" not in names:
            found.append(f"dctnet/{file} is missing")
    if "dctnet/configs/CARD.md" not in names:
        found.append("models/CARD.md is missing as dctnet/configs/CARD.md")
    return found


if __name__ == "__main__":
    problems = {wheel: check(wheel) for wheel in sys.argv[1:]}
    for wheel, found in problems.items():
        print(f"{wheel}: {'; '.join(found) or 'as it should be'}")
    sys.exit(any(problems.values()) or not problems)
