"""Messages of the gRPC wire: ids, vectors, filters and payload values, between Python and protobuf.

`VectorOutput` (in answers) and `Vector` (in requests) have the same field numbers, so bytes of one parse as the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from changeover.cluster.api import Filter, Inference, SparseValue
from changeover.survey.model import PointId

if TYPE_CHECKING:
    import numpy as np

HUGE = 2.0**63


def packed(values: np.ndarray) -> bytes:
    """A DenseVector message (field 1, packed floats) without going through Python floats."""
    import numpy as np

    data = np.ascontiguousarray(values, dtype="<f4").tobytes()
    header, size = bytearray(b"\x0a"), len(data)
    while size > 0x7F:
        header.append(size & 0x7F | 0x80)
        size >>= 7
    header.append(size)
    return bytes(header) + data


def put(vector: Any, value: Any) -> None:
    """Put a checked vector (see `vectors.checked`) into a Vector message."""
    if isinstance(value, SparseValue):
        vector.sparse.values.extend(value.values.tolist())
        vector.sparse.indices.extend(value.indices.tolist())
    elif isinstance(value, Inference):
        vector.document.text, vector.document.model = value.text, value.model
        for key, option in value.options:
            _put_option(vector.document.options[key], option)
    elif value.ndim == 2:
        vector.multi_dense.SetInParent()
        for row in value:
            vector.multi_dense.vectors.add().MergeFromString(packed(row))
    else:
        vector.dense.MergeFromString(packed(value))


def _put_option(message: Any, option: Any) -> None:
    """An option of server inference: text, number, truth or list of those."""
    match option:
        case bool():
            message.bool_value = option
        case int():
            message.integer_value = option
        case float():
            message.double_value = option
        case str():
            message.string_value = option
        case dict():
            message.struct_value.SetInParent()
            for key, item in option.items():
                _put_option(message.struct_value.fields[key], item)
        case list() | tuple():
            message.list_value.SetInParent()
            for item in option:
                _put_option(message.list_value.values.add(), item)
        case _:
            raise ValueError(f"an inference option cannot be {option!r}")


def make_unnamed(point: Any) -> None:
    """A point whose only vector is the unnamed one is sent in the single form."""
    data = point.vectors.vectors.vectors[""].SerializeToString()
    point.vectors.Clear()
    point.vectors.vector.MergeFromString(data)


def id_of(message: Any) -> PointId:
    """A PointId message as the id that it is."""
    return int(message.num) if message.WhichOneof("point_id_options") == "num" else str(message.uuid)


def point_id(point: PointId) -> Any:
    """An id as a PointId message."""
    from qdrant_client import grpc as messages

    return messages.PointId(num=point) if isinstance(point, int) else messages.PointId(uuid=point)


def filter_of(chosen: Filter) -> Any:
    """The filters that the engine sends: has_id, has_vector and filters of them; others are a bug."""
    from qdrant_client import grpc as messages

    made = messages.Filter()
    for clause, conditions in chosen.items():
        for condition in conditions if isinstance(conditions, list) else [conditions]:
            row = getattr(made, clause).add()
            match condition:
                case {"has_id": ids}:
                    row.has_id.has_id.extend(point_id(i) for i in ids)
                case {"has_vector": name}:
                    row.has_vector.has_vector = name
                case {"must": _} | {"must_not": _} | {"should": _}:
                    row.filter.CopyFrom(filter_of(condition))
                case _:
                    raise ValueError(f"this filter is not known to the gRPC wire: {condition}")
    return made


def payload_json(value: Any, huge: list[float]) -> Any:
    """A payload value as Python's JSON; numbers that may have been integers from 2^63 up are added to `huge`."""
    match value.WhichOneof("kind"):
        case "string_value":
            return value.string_value
        case "integer_value":
            return value.integer_value
        case "double_value":
            number = value.double_value
            if HUGE <= number <= 2 * HUGE:
                huge.append(number)
            return number
        case "bool_value":
            return value.bool_value
        case "struct_value":
            return {key: payload_json(item, huge) for key, item in value.struct_value.fields.items()}
        case "list_value":
            return [payload_json(item, huge) for item in value.list_value.values]
        case _:
            return None


def vector_json(message: Any) -> Any:
    """A VectorOutput message as REST's JSON would have it."""
    match message.WhichOneof("vector"):
        case "dense":
            return list(message.dense.data)
        case "sparse":
            return {"indices": list(message.sparse.indices), "values": list(message.sparse.values)}
        case "multi_dense":
            return [list(row.data) for row in message.multi_dense.vectors]
    # Servers before 1.17 answer in the older flat fields.
    data = list(message.data)
    if message.HasField("indices"):
        return {"indices": list(message.indices.data), "values": data}
    if message.HasField("vectors_count"):
        width = len(data) // message.vectors_count
        return [data[i : i + width] for i in range(0, len(data), width)]
    return data
