"""Packing blocks of texts that are like one another, with a dictionary made of their like.

Belongs here: the form of a block, for records and payloads alike. Does not belong here: files of blocks
(``record_files.py``, ``index/payloads.py``), what a text says.
"""

from __future__ import annotations

from collections.abc import Callable

import zstandard

# Neither the four bytes that say "Zstandard" nor the dictionary's number: every block would repeat them. The checksum stays.
_FORMAT = zstandard.FORMAT_ZSTD1_MAGICLESS


class Packing:
    """How the blocks of one file are packed, at this level of compression. What it makes is for one thread each."""

    def __init__(self, dictionary: bytes, level: int) -> None:
        self._dictionary = zstandard.ZstdCompressionDict(dictionary) if dictionary else None
        self._parameters = zstandard.ZstdCompressionParameters.from_level(
            level, format=_FORMAT, write_content_size=True, write_checksum=True, write_dict_id=False
        )
        self._ready = False

    def packer(self) -> Callable[[bytes | memoryview], bytes]:
        """What packs one block. The dictionary is made ready once: again would take it from under another thread."""
        if self._dictionary is not None and not self._ready:
            self._dictionary.precompute_compress(compression_params=self._parameters)
            self._ready = True
        return zstandard.ZstdCompressor(dict_data=self._dictionary, compression_params=self._parameters).compress

    def unpacker(self) -> Callable[[bytes], bytes]:
        """What unpacks one block; it raises ZstdError for damaged bytes."""
        return zstandard.ZstdDecompressor(dict_data=self._dictionary, format=_FORMAT).decompress
