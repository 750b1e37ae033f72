"""What is in a firmware's ELF file: bytes of flash, functions, and whose code it is, by the line information (DWARF).

A function has in it what was inlined into it, so its name says little. Each two bytes of code are asked for the chain of calls
that were inlined there, innermost first. The first one in it that is not libcore's counts: `own:mender/api/json.rs` for a file
of this workspace, `crate:sha2` for a crate. Code without any is libcore's (`core`) or has no line information (`other`).
"""

import collections
import re
import struct
import subprocess

ADDR2LINE = "arm-none-eabi-addr2line"
NM = "arm-none-eabi-nm"


def sections(elf):
    """Name, type, flags, size of each section of a 32-bit little-endian ELF file."""
    at, = struct.unpack_from("<I", elf, 32)
    entry_len, count, names = struct.unpack_from("<HHH", elf, 46)
    headers = [struct.unpack_from("<10I", elf, at + i * entry_len) for i in range(count)]
    text = headers[names][4]
    for name, kind, flags, _, _, size, *_ in headers:
        end = elf.index(b"\0", text + name)
        yield elf[text + name:end].decode(), kind, flags, size


def flash_len(elf):
    """Bytes of all sections that are loaded: allocated (SHF_ALLOC) and with content (not SHT_NOBITS)."""
    return sum(size for _, kind, flags, size in sections(elf) if flags & 2 and kind != 8)


def constants_len(elf):
    """Bytes of constants: what is loaded and is neither code (SHF_EXECINSTR) nor the vector table."""
    return sum(
        size
        for name, kind, flags, size in sections(elf)
        if flags & 2 and kind != 8 and not flags & 4 and name != ".vector_table"
    )


def functions(path):
    """Address, length and name of each function. Two names of the same code are one."""
    listed = subprocess.run([NM, "-S", "-C", path], check=True, stdout=subprocess.PIPE, text=True).stdout
    found = {}
    for address, length, name in re.findall(r"^([0-9a-f]+) ([0-9a-f]+) [tTwW] (.*)$", listed, re.M):
        # Bit 0 says that it is Thumb code.
        found[int(address, 16) & ~1] = (int(length, 16), name)
    return [(address, length, name) for address, (length, name) in found.items()]


def short_name(name):
    """A function's name without its generic arguments."""
    name = re.sub(r"\{closure#\d+\}", "{closure}", name)
    while True:
        # Innermost first; what stands behind a name or `::` are arguments.
        shorter = re.sub(r"(?<=[\w>])(::)?<[^<>]*>(?!::)|(?<=\w)<[^<>]*>", "", name)
        shorter = re.sub(r"<([^<> ]+)( as [^<>]*)?>::", r"\1::", shorter)
        if shorter == name:
            return name
        name = shorter


def whose(file):
    """Whose code a line of this file is."""
    found = re.search(r"(?:^|/)(mender|modules|tests/firmware-size)/src/([^:]*\.rs)", file)
    if found:
        return f"own:{found[1]}/{found[2]}"
    found = re.search(r"/registry/src/[^/]*/(.*?)-\d[^/]*/", file)
    # The compiler's helpers come from there if libcore is built along.
    if found and found[1] != "compiler_builtins":
        return "crate:" + found[1].replace("-", "_")
    if re.search(r"library/(core|alloc|compiler-builtins)/|compiler_builtins", file):
        return "core"
    return "other"


def attribution(path):
    """Bytes of code by owner."""
    addresses = [at for address, length, _ in functions(path) for at in range(address, address + length, 2)]
    asked = "\n".join(f"{address:x}" for address in addresses)
    answer = subprocess.run(
        [ADDR2LINE, "-i", "-f", "-a", "-e", path], check=True, input=asked, stdout=subprocess.PIPE, text=True
    ).stdout
    owners = collections.Counter()
    known = {}
    # An address, then two lines for each call: function, file and line.
    for chain in re.split(r"^0x[0-9a-f]+\n", answer, flags=re.M)[1:]:
        owner = "other"
        for file in chain.splitlines()[1::2]:
            if file not in known:
                known[file] = whose(file)
            owner = known[file]
            if owner not in ("core", "other"):
                break
        owners[owner] += 2
    return owners
