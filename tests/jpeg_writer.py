"""A small JPEG encoder for the tests: writes given coefficients with any sampling, tables, scans and restart intervals.

It follows ITU-T T.81 (annexes B, F, G) and is slow and plain on purpose. Blocks are row-major (``8*v + u``) integers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

ZIGZAG = np.array(sorted(range(64), key=lambda i: (s := i // 8 + i % 8, i // 8 if s % 2 else i % 8)))


def segment(marker: int, payload: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(payload) + 2).to_bytes(2, "big") + payload


def dqt(index: int, steps: Sequence[int], wide: bool = False) -> bytes:
    """A quantisation table of 64 row-major steps, 8 or 16 bits each."""
    ordered = np.asarray(steps)[ZIGZAG]
    return segment(0xDB, bytes([wide << 4 | index]) + ordered.astype(">u2" if wide else "u1").tobytes())


@dataclass(frozen=True)
class Huffman:
    """Counts of codes by length 1..16, and the symbols in order."""

    counts: tuple[int, ...]
    symbols: tuple[int, ...]

    @property
    def codes(self) -> dict[int, str]:
        codes, code, symbols = {}, 0, iter(self.symbols)
        for length, count in enumerate(self.counts, 1):
            for _ in range(count):
                codes[next(symbols)] = format(code, f"0{length}b")
                code += 1
            code <<= 1
        return codes

    def segment(self, ac: bool, index: int) -> bytes:
        return segment(0xC4, bytes([ac << 4 | index, *self.counts, *self.symbols]))


def flat_huffman(symbols: Sequence[int]) -> Huffman:
    """Codes of 8 and 9 bits."""
    counts = [0] * 16
    counts[7] = min(len(symbols), 254)
    counts[8] = len(symbols) - counts[7]
    return Huffman(tuple(counts), tuple(symbols))


def skewed_huffman(symbols: Sequence[int]) -> Huffman:
    """One code each of 1..8 bits, the others of 16: what is short for one symbol is as long as can be for most."""
    counts = [1] * 8 + [0] * 7 + [len(symbols) - 8]
    return Huffman(tuple(counts), tuple(symbols))


@dataclass
class Component:
    """``blocks``: (rows, columns, 64) with the padding of MCUs."""

    vertical: int
    horizontal: int
    blocks: np.ndarray
    identifier: int
    table: int = 0


@dataclass
class ScanSpec:
    components: Sequence[int]
    first: int = 0
    last: int = 63
    high: int = 0
    low: int = 0
    restart: int = 0
    before: bytes = b""  # segments before the scan header
    tables: Sequence[tuple[int, int]] = ((0, 0),) * 3  # (dc, ac) of each component


@dataclass
class Writer:
    """A file in the making: ``write`` gives its bytes."""

    height: int
    width: int
    components: Sequence[Component]
    dc: dict[int, Huffman]
    ac: dict[int, Huffman]
    progressive: bool = False
    sof: int | None = None
    _bits: list[str] = field(default_factory=list)

    def in_blocks(self, c: int) -> tuple[int, int]:
        """Rows and columns of blocks of a component without the padding of MCUs."""
        tallest = max(component.vertical for component in self.components)
        widest = max(component.horizontal for component in self.components)
        component = self.components[c]
        return (
            math.ceil(self.height * component.vertical / (8 * tallest)),
            math.ceil(self.width * component.horizontal / (8 * widest)),
        )

    def write(self, scans: Sequence[ScanSpec], head: bytes = b"", tail: bytes = b"\xff\xd9") -> bytes:
        frame = (
            bytes([8]) + self.height.to_bytes(2, "big") + self.width.to_bytes(2, "big") + bytes([len(self.components)])
        )
        for component in self.components:
            frame += bytes([component.identifier, component.horizontal << 4 | component.vertical, component.table])
        out = b"\xff\xd8" + head + segment(self.sof or (0xC2 if self.progressive else 0xC0), frame)
        for ac, tables in ((False, self.dc), (True, self.ac)):
            for index, table in tables.items():
                out += table.segment(ac, index)
        restart = 0
        for scan in scans:
            out += scan.before
            if scan.restart != restart:
                out += segment(0xDD, scan.restart.to_bytes(2, "big"))
                restart = scan.restart
            header = bytes([len(scan.components)])
            for c, (dc, ac) in zip(scan.components, scan.tables, strict=False):
                header += bytes([self.components[c].identifier, dc << 4 | ac])
            header += bytes([scan.first, scan.last, scan.high << 4 | scan.low])
            out += segment(0xDA, header) + self._entropy(scan)
        return out + tail

    def _mcus(self, scan: ScanSpec) -> list[list[tuple[int, np.ndarray]]]:
        """For each MCU its blocks with the position of their component in the scan."""
        if len(scan.components) == 1:
            rows, columns = self.in_blocks(scan.components[0])
            blocks = self.components[scan.components[0]].blocks
            return [[(0, blocks[row, column])] for row in range(rows) for column in range(columns)]
        rows = math.ceil(self.height / (8 * max(c.vertical for c in self.components)))
        columns = math.ceil(self.width / (8 * max(c.horizontal for c in self.components)))
        mcus = []
        for row in range(rows):
            for column in range(columns):
                mcu = []
                for i, c in enumerate(scan.components):
                    v, h = self.components[c].vertical, self.components[c].horizontal
                    mcu += [
                        (i, self.components[c].blocks[row * v + y, column * h + x]) for y in range(v) for x in range(h)
                    ]
                mcus.append(mcu)
        return mcus

    def _entropy(self, scan: ScanSpec) -> bytes:
        mcus = self._mcus(scan)
        interval = scan.restart or len(mcus)
        out = b""
        for number, start in enumerate(range(0, len(mcus), interval)):
            if number:
                out += bytes([0xFF, 0xD0 + (number - 1) % 8])
            self._bits = []
            self._interval(scan, mcus[start : start + interval])
            bits = "".join(self._bits)
            bits += "1" * (-len(bits) % 8)
            data = int(bits, 2).to_bytes(len(bits) // 8, "big") if bits else b""
            out += data.replace(b"\xff", b"\xff\x00")
        return out

    def _interval(self, scan: ScanSpec, mcus: list[list[tuple[int, np.ndarray]]]) -> None:
        dc = [self.dc[scan.tables[i][0]].codes for i in range(len(scan.components))] if scan.first == 0 else []
        ac = [self.ac[scan.tables[i][1]].codes for i in range(len(scan.components))] if scan.last > 0 else []
        blocks = [(i, [int(value) for value in block[ZIGZAG]]) for mcu in mcus for i, block in mcu]
        if scan.first == 0 and scan.high == 0:
            last = [0] * len(scan.components)
            for i, block in blocks:
                level = block[0] >> scan.low
                self._value(dc[i], 0, level - last[i])
                last[i] = level
                if scan.last > 0:
                    self._sequential_ac(ac[i], block)
        elif scan.first == 0:
            self._bits += [str(block[0] >> scan.low & 1) for _, block in blocks]
        elif scan.high == 0:
            self._ac_first(ac[0], scan, [block for _, block in blocks])
        else:
            self._ac_refine(ac[0], scan, [block for _, block in blocks])

    def _value(self, codes: dict[int, str], run: int, value: int) -> None:
        size = abs(value).bit_length()
        self._bits.append(codes[run << 4 | size])
        if size:
            self._bits.append(format(value if value > 0 else value + (1 << size) - 1, f"0{size}b"))

    def _sequential_ac(self, codes: dict[int, str], block: list[int]) -> None:
        run = 0
        for value in block[1:]:
            if value == 0:
                run += 1
                continue
            self._bits += [codes[0xF0]] * (run // 16)
            self._value(codes, run % 16, value)
            run = 0
        if run:
            self._bits.append(codes[0])

    def _end_run(self, codes: dict[int, str], ended: int, corrections: str = "") -> None:
        if ended:
            exponent = ended.bit_length() - 1
            self._bits.append(codes[exponent << 4] + (format(ended, "b")[1:]))
        self._bits.append(corrections)

    def _ac_first(self, codes: dict[int, str], scan: ScanSpec, blocks: list[list[int]]) -> None:
        ended = 0
        for block in blocks:
            run = 0
            for value in block[scan.first : scan.last + 1]:
                value = int(math.copysign(abs(value) >> scan.low, value))
                if value == 0:
                    run += 1
                    continue
                self._end_run(codes, ended)
                ended = 0
                self._bits += [codes[0xF0]] * (run // 16)
                self._value(codes, run % 16, value)
                run = 0
            if run:
                ended += 1
                if ended == 0x7FFF:
                    self._end_run(codes, ended)
                    ended = 0
        self._end_run(codes, ended)

    def _ac_refine(self, codes: dict[int, str], scan: ScanSpec, blocks: list[list[int]]) -> None:
        ended, waiting = 0, ""  # blocks of the current end-of-block run, and their correction bits
        for block in blocks:
            levels = [abs(value) >> scan.low for value in block]
            fresh = [k for k in range(scan.first, scan.last + 1) if levels[k] == 1]
            run, corrections = 0, ""
            for k in range(scan.first, scan.last + 1):
                if levels[k] == 0:
                    run += 1
                    continue
                while run > 15 and fresh and k <= fresh[-1]:
                    self._end_run(codes, ended, waiting)
                    self._bits += [codes[0xF0], corrections]
                    ended, waiting, corrections = 0, "", ""
                    run -= 16
                if levels[k] > 1:
                    corrections += str(levels[k] & 1)
                    continue
                self._end_run(codes, ended, waiting)
                self._bits += [codes[run << 4 | 1], "1" if block[k] > 0 else "0", corrections]
                ended, waiting, run, corrections = 0, "", 0, ""
            if run or corrections:
                ended += 1
                waiting += corrections
                if ended == 0x7FFF:
                    self._end_run(codes, ended, waiting)
                    ended, waiting = 0, ""
        self._end_run(codes, ended, waiting)


def random_components(
    generator: np.random.Generator, height: int, width: int, factors: Sequence[tuple[int, int]], sparse: float = 0.8
) -> list[Component]:
    """Components of (vertical, horizontal) ``factors`` with random coefficients of 8-bit pictures, mostly zeros."""
    tallest, widest = max(v for v, _ in factors), max(h for _, h in factors)
    rows, columns = math.ceil(height / (8 * tallest)), math.ceil(width / (8 * widest))
    components = []
    for i, (v, h) in enumerate(factors):
        shape = (rows * v, columns * h, 64)
        scale = np.exp2(generator.integers(0, 11, shape))
        blocks = np.rint(generator.uniform(-1, 1, shape) * scale).astype(np.int64)
        blocks[generator.uniform(size=shape) < sparse] = 0
        blocks[..., 0] = generator.integers(-1024, 1024, shape[:2])
        components.append(Component(v, h, blocks, i + 1, min(i, 1)))
    return components
