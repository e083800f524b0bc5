"""Checks of the source tree that no compiler makes; see the functions named check_*.

    tidy.py ROOT [--archives libconsul_*.a ...] [--cc cc ...]

Prints one line for each finding and exits with 1 when there is any.
"""
import argparse
import concurrent.futures
import os
import re
import subprocess
import sys

# Each may use only those before it.
LAYERS = ["base", "schema", "loop", "proto", "raft", "gossip", "store", "fsm", "acl", "server",
          "agent", "http", "dns", "cli"]

# Layers that do no I/O, with the files that are exempt, by how their names begin. base is not
# among them, but what it has of clock, randomness and logging is impure for its users.
PURE = {
    "schema": (),
    "proto": (),
    "store": ("lock_delay",),  # one table for all threads of a server, with a lock
    "fsm": (),
    "acl": (),
    # The log, its disk, and the thread that joins core, disk and network.
    "raft": ("raft", "node", "env", "log", "io", "stable", "snapshot", "transport", "wake"),
    # Pools on sockets, threads and files.
    "gossip": ("pool", "key_file", "snapshot"),
}
IMPURE_INCLUDES = ("loop/", "uv.h", "sys/socket.h", "netinet/", "arpa/inet.h", "pthread.h",
                   "base/log.h", "openssl/ssl.h", "sys/random.h", "sys/epoll.h", "poll.h")
IMPURE_SYMBOLS = set("""
    socket connect bind listen accept accept4 send sendto sendmsg recv recvfrom recvmsg shutdown
    open open64 openat openat64 creat fopen fopen64 fdopen read write pread pread64 pwrite pwrite64
    readv writev close fsync fdatasync ftruncate ftruncate64 unlink rename mkdir rmdir opendir stat
    fstat lstat mmap mmap64 poll epoll_create1 epoll_ctl epoll_wait select fork vfork execve
    posix_spawn system popen getenv setenv kill signal sigaction
    clock_gettime gettimeofday time nanosleep usleep sleep localtime localtime_r
    getrandom getentropy random rand rand_r drand48 arc4random RAND_bytes
    pthread_create pthread_join pthread_mutex_lock pthread_cond_wait thrd_create
    getaddrinfo gethostbyname gethostname printf puts perror syslog
    clock_mono_ms clock_mono_ns clock_wall_ms clock_wall_ns random_bytes uuid_generate
    rng_seed_system log_line log_is_on log_sink_add
""".split())

BANNED = re.compile(r"\b(strcpy|strcat|sprintf|vsprintf|strtok|strtok_r|atoi|atol|atoll|atof|gets|"
                    r"strncpy|strncat|localtime|gmtime|asctime|ctime|rand|srand|alloca|tmpnam|"
                    r"mktemp)\s*\(")
INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]', re.M)


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def files_under(root, *endings):
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            if name.endswith(endings):
                yield os.path.join(folder, name)


def code_only(text):
    """The text with comments and the insides of strings blanked, line numbers kept."""
    token = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)

    def blank(match):
        lines = "\n" * match.group().count("\n")
        return '""' + lines if match.group()[0] in "\"'" else " " + lines
    return token.sub(blank, text)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def is_exempt(layer, path):
    return os.path.basename(path).startswith(PURE[layer])


def check_layers(root):
    """A folder includes only folders above it; pure folders include nothing impure."""
    src = os.path.join(root, "src")
    for path in files_under(src, ".c", ".h"):
        layer = os.path.relpath(path, src).split(os.sep)[0]
        if layer not in LAYERS:
            continue
        text = read(path)
        for match in INCLUDE.finditer(text):
            name, where = match.group(1), f"{path}:{line_of(text, match.start(1))}"
            target = name.split("/")[0]
            if "/" in name and target in LAYERS:
                if LAYERS.index(target) > LAYERS.index(layer):
                    yield f"{where}: {layer}/ must not include {name}"
            if layer in PURE and not is_exempt(layer, path) and name.startswith(IMPURE_INCLUDES):
                yield f"{where}: {layer}/ is pure and must not include {name}"
            if name.startswith("../") or (match.group().endswith('"') and "/" not in name
                                          and not os.path.exists(os.path.join(src, name))):
                yield f"{where}: write {name} with its folder, from src/"


def check_pragma_once(root):
    for path in files_under(os.path.join(root, "src"), ".h"):
        if not re.search(r"^#pragma once$", read(path), re.M):
            yield f"{path}:1: no #pragma once"


def check_banned(root):
    for folder in ("src", "tests"):
        for path in files_under(os.path.join(root, folder), ".c", ".h"):
            text = code_only(read(path))
            for match in BANNED.finditer(text):
                yield f"{path}:{line_of(text, match.start())}: {match.group(1)}() is banned"


def listed_in_meson(path, root):
    """Whether the nearest meson.build, or one further up, names the file (its ending may be left
    out, and for fuzz targets the beginning too)."""
    stem, name = os.path.splitext(os.path.basename(path))[0], os.path.basename(path)
    folder = os.path.dirname(path)
    wanted = {name, stem}
    if stem.startswith("fuzz_"):
        wanted.add(stem[len("fuzz_"):])
    while True:
        meson = os.path.join(folder, "meson.build")
        if os.path.exists(meson):
            text = re.sub(r"#[^\n]*", "", read(meson))
            for quoted in re.findall(r"'([^']*)'", text):
                if quoted in wanted or os.path.basename(quoted) == name:
                    return True
        if os.path.samefile(folder, root):
            return False
        folder = os.path.dirname(folder)


def check_listed(root):
    for folder in ("src", "tests"):
        for path in files_under(os.path.join(root, folder), ".c"):
            if not listed_in_meson(path, root):
                yield f"{path}:1: in no meson.build"


def check_corpora(root):
    """Every fuzz target has inputs to replay."""
    fuzz = os.path.join(root, "tests", "fuzz")
    for path in files_under(fuzz, ".c"):
        stem = os.path.splitext(os.path.basename(path))[0]
        if stem.startswith("fuzz_"):
            corpus = os.path.join(fuzz, "corpus", stem[len("fuzz_"):])
            if not os.path.isdir(corpus) or not os.listdir(corpus):
                yield f"{path}:1: no inputs in {corpus}"


def check_headers_alone(root, cc):
    """Each header compiles as the only include of a file."""
    src = os.path.join(root, "src")

    def compile_one(path):
        command = cc + ["-std=gnu17", "-D_GNU_SOURCE", "-DCONSUL_VERSION=\"x\"", "-fsyntax-only",
                        "-I", src, "-x", "c", "-"]
        unit = f'#include "{os.path.relpath(path, src)}"\n'
        result = subprocess.run(command, input=unit, capture_output=True, text=True, check=False)
        errors = [line for line in result.stderr.splitlines() if "error" in line]
        return f"{path}:1: does not compile alone: {errors[:1]}" if result.returncode else None

    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        for finding in pool.map(compile_one, list(files_under(src, ".h"))):
            if finding:
                yield finding


def imports_of(nm_output):
    """Pairs of archive member and imported symbol, from `nm -u`."""
    member = ""
    for line in nm_output.splitlines():
        line = line.strip()
        if line.endswith(":"):
            member = os.path.basename(line[:-1])
        elif line.startswith("U "):
            yield member, line[2:].split("@")[0]


def check_imports(archives):
    for archive in archives:
        match = re.match(r"libconsul_(\w+)\.a$", os.path.basename(archive))
        if not match:
            continue
        layer = match.group(1).removesuffix("_core")
        if layer not in PURE:
            continue
        exempt = () if match.group(1).endswith("_core") else PURE[layer]
        output = subprocess.run(["nm", "-u", archive], capture_output=True, text=True, check=True)
        for member, symbol in imports_of(output.stdout):
            # Meson names the member of src/x/sub/y.c "sub_y.c.o".
            if not member.startswith(exempt) and (symbol in IMPURE_SYMBOLS
                                                       or symbol.startswith("uv_")):
                yield f"{archive}({member}): {layer}/ is pure and must not import {symbol}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("root")
    parser.add_argument("--archives", nargs="*", default=[])
    parser.add_argument("--cc", nargs="*", default=["cc"])
    args = parser.parse_args()
    findings = []
    for check in (check_layers, check_pragma_once, check_banned, check_listed, check_corpora):
        findings += check(args.root)
    findings += check_headers_alone(args.root, args.cc)
    findings += check_imports(args.archives)
    for finding in findings:
        print(finding)
    print(f"{len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
