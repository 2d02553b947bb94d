"""Zips a function as it would be uploaded and prints the bytes: python pack.py OUT.zip PATH...

A folder's contents lie at the root of the zip. Installers and compiled files stay out.
"""

import os
import pathlib
import sys
import zipfile

LEFT_OUT = ("pip", "setuptools", "_distutils_hack", "distutils-precedence.pth", "__pycache__")


def files(path):
    if path.is_file():
        return [(path, path.name)]
    inside = (file.relative_to(path) for file in sorted(path.rglob("*")) if file.is_file())
    return [(path / file, str(file)) for file in inside if not left_out(file)]


def left_out(file):
    return file.parts[0].split("-")[0] in LEFT_OUT or "__pycache__" in file.parts


with zipfile.ZipFile(sys.argv[1], "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
    for argument in sys.argv[2:]:
        for path, name in files(pathlib.Path(argument)):
            archive.write(path, name)
print(os.path.getsize(sys.argv[1]))
