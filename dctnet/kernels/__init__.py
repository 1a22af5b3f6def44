"""What is computed on planes in memory by compiled loops: block transforms and warps. Knows no files.

``dct`` and ``transforms`` say what each loop computes, and fall back on torch where none is made for the tensor.
"""
