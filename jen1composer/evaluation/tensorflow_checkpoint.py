"""TensorFlow checkpoints (its "tensor bundles"), read without TensorFlow.

A checkpoint is an index and a file of data. The index is a table as LevelDB stores it:

    block*  index block  footer of 48 bytes
    block   entries, then the places of some of them (uint32 each) and how many; 1 byte of
            compression and 4 of checksum follow it
    entry   three numbers, then bytes: how much of the last key it begins with, the length of the
            rest of its key, the length of its value; that rest; the value
    footer  where the index of metadata lies, where the index block lies, filled up to 40 bytes;
            8 bytes of magic
    where   two numbers: offset and size

The values of the index block say where the blocks lie, those of the blocks are the tensors, each a
protocol buffer: type (field 1), shape (2), shard (3), offset (4), size (5). Under the empty key
lies the header, of which field 1 is the number of shards. Numbers are base 128, the low digits
first.

Checksums are not looked at: who reads weights pins their files.
Sources: LevelDB's doc/table_format.md; tensorflow/core/protobuf/tensor_bundle.proto.
"""

import struct
from collections.abc import Iterator

import numpy as np

from jen1composer.errors import BadInput, require

_MAGIC = 0xDB4775248B80FB57
_FOOTER, _TRAILER = 48, 5  # bytes
_TYPES = {1: '<f4', 2: '<f8', 3: '<i4', 4: 'u1', 6: 'i1', 9: '<i8', 10: '?'}  # of types.proto
_Fields = dict[int, list[int | bytes]]


def read_checkpoint(index: bytes, data: bytes, name: str) -> dict[str, np.ndarray]:
    """The tensors of a checkpoint in one shard, by their names; read-only, in the machine's memory.

    Args:
      index: the file .index.
      data: the file .data-00000-of-00001.
      name: what to call it when it is refused.

    Raises:
      BadInput: it is no such checkpoint, it is cut off or compressed, or has another number of
        shards or a type that numpy has not.
    """
    try:
        return {key: _tensor(entry, data) for key, entry in _entries(index)}
    except (ValueError, IndexError, KeyError, TypeError, struct.error) as error:
        raise BadInput(
            f'{name}: no TensorFlow checkpoint that can be read here: {error}'
        ) from error


def _entries(index: bytes) -> Iterator[tuple[str, _Fields]]:
    """Name and fields of every tensor."""
    footer = index[-_FOOTER:]
    magic = struct.unpack('<Q', footer[-8:])[0]
    require(magic == _MAGIC, 'last 8 bytes', hex(magic), f'are {_MAGIC:#x}')
    _, place = _where(footer, 0)
    for _, where in _block(index, *_where(footer, place)[0]):
        for key, value in _block(index, *_where(where, 0)[0]):
            fields = _message(value)
            if key:
                yield key.decode(), fields
            else:
                require(fields.get(1) == [1], 'shards', fields.get(1), 'are [1]')


def _tensor(entry: _Fields, data: bytes) -> np.ndarray:
    kind = np.dtype(_TYPES[_number(entry, 1)])
    shape = _message(_bytes(entry, 2)) if 2 in entry else {}
    sizes = [_number(_message(size), 1) for size in shape.get(2, []) if isinstance(size, bytes)]
    offset, length = _number(entry, 4), _number(entry, 5)
    require(offset + length <= len(data), 'bytes of data', len(data), f'reach {offset + length}')
    return np.frombuffer(data, kind, length // kind.itemsize, offset).reshape(sizes)


def _block(table: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Key and value of the entries of the block at `offset`."""
    block, trailer = table[offset : offset + size], table[offset + size :][:_TRAILER]
    require(trailer[0] == 0, 'compression', trailer[0], 'is 0, none')
    end = size - 4 * (struct.unpack('<I', block[-4:])[0] + 1)
    place, key = 0, b''
    while place < end:
        shared, place = _varint(block, place)
        rest, place = _varint(block, place)
        length, place = _varint(block, place)
        key = key[:shared] + block[place : place + rest]
        place += rest
        yield key, block[place : place + length]
        place += length


def _message(buffer: bytes) -> _Fields:
    """The fields of a protocol buffer by their numbers, each with all its values."""
    fields: _Fields = {}
    place = 0
    while place < len(buffer):
        tag, place = _varint(buffer, place)
        value: int | bytes
        if tag & 7 == 0:
            value, place = _varint(buffer, place)
        else:
            length = {1: 8, 5: 4}.get(tag & 7)
            if length is None:
                require(tag & 7 == 2, 'wire type', tag & 7, 'are 0, 1, 2 and 5')
                length, place = _varint(buffer, place)
            value = buffer[place : place + length]
            place += length
        fields.setdefault(tag >> 3, []).append(value)
    return fields


def _number(fields: _Fields, field: int) -> int:
    """The number in `field`, 0 where it is left out."""
    (value,) = fields.get(field, [0])
    require(isinstance(value, int), f'field {field}', value, 'is a number')
    return int(value)


def _bytes(fields: _Fields, field: int) -> bytes:
    (value,) = fields[field]
    return bytes(value)


def _where(buffer: bytes, place: int) -> tuple[tuple[int, int], int]:
    """Offset and size of a block, and the place behind them."""
    offset, place = _varint(buffer, place)
    size, place = _varint(buffer, place)
    return (offset, size), place


def _varint(buffer: bytes, place: int) -> tuple[int, int]:
    """The number at `place`, and the place behind it."""
    number = shift = 0
    while True:
        byte = buffer[place]
        place += 1
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return number, place
