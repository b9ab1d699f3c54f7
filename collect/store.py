"""The corpus on disk: DIR/<program>.records, as forestall-record writes them one after the other, and DIR/manifest.jsonl.

A line of the manifest names one run and where its record lies: file, offset (of the u32 length) and size (with it). A line
is written after its record; bytes of a record without a line are cut off at the next start, so the two always agree."""
import fcntl
import json
import os
import pathlib

MANIFEST = "manifest.jsonl"


class CorpusError(Exception):
    pass


class Corpus:
    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self._lock = open(self.directory / ".lock", "w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CorpusError(f"{self.directory} is being filled by another collector") from None
        self.lines = {}  # key -> manifest line
        self._ends = {}  # file -> end of its last record
        self._read_manifest()
        for path in self.directory.glob("*.records"):
            os.truncate(path, self._ends.get(path.name, 0))
        self._manifest = open(self.directory / MANIFEST, "a")

    def _read_manifest(self):
        path = self.directory / MANIFEST
        if not path.exists():
            return
        whole = 0
        for text in path.read_bytes().splitlines(keepends=True):
            if not text.endswith(b"\n"):
                break  # a line that was being written
            line = json.loads(text)
            self.lines[line["key"]] = line
            self._ends[line["file"]] = max(self._ends.get(line["file"], 0), line["offset"] + line["size"])
            whole += len(text)
        os.truncate(path, whole)

    @property
    def bytes(self):
        return sum(self._ends.values())

    def append(self, key, program, record_path, facts):
        """Takes over the recorder's file (one record) and writes its line; returns the line."""
        record = pathlib.Path(record_path).read_bytes()
        if len(record) < 4 or int.from_bytes(record[:4], "big") != len(record) - 4:
            raise CorpusError(f"{record_path} does not hold one whole record")
        name = f"{program}.records"
        offset = self._ends.get(name, 0)
        with open(self.directory / name, "ab") as out:
            out.write(record)
        self._ends[name] = offset + len(record)
        line = {"key": key, "program": program, **facts, "file": name, "offset": offset, "size": len(record)}
        self.lines[key] = line
        self._manifest.write(json.dumps(line) + "\n")
        self._manifest.flush()
        return line

    def close(self):
        self._manifest.close()
        self._lock.close()
