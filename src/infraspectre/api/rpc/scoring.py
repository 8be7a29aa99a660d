"""The scoring service over gRPC, for programs that ask often; needs the extra `grpc`."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infraspectre.errors import AccessError, InfraSpectreError, InputError, OverloadError, UsageError
from infraspectre.serving.scoring import MOST_ROWS, Prediction, Scoring, served_as

if TYPE_CHECKING:
    import grpc

    from infraspectre.records.access import Principal

SERVICE = "infraspectre.v1.Scoring"
MOST_BYTES = 16 * 1024 * 1024
"""Bytes of one message."""
MOST_CALLS = 512
"""Calls that are answered at once; more are refused."""
GRACE_S = 5.0
Authenticate = Callable[[str], Awaitable["Principal"]]
"""Returns who sent the value of an authorization header; raises AccessError."""


class ScoringServer:
    """Answers predictions over gRPC."""

    def __init__(self, scoring: Scoring, authenticate: Authenticate) -> None:
        """Judge with these models for those whom `authenticate` knows and who may read."""
        self._scoring, self._authenticate = scoring, authenticate
        self._server: grpc.aio.Server | None = None

    async def start(self, address: str, certificate: Path | None = None, key: Path | None = None) -> int:
        """Listen at HOST:PORT, with TLS if there is a certificate, and return the port.

        Raises UsageError without the extra, and InputError for an address at which nobody can listen.
        """
        grpc, messages = _library()
        options = [("grpc.max_receive_message_length", MOST_BYTES), ("grpc.so_reuseport", 0)]
        server = grpc.aio.server(options=options, maximum_concurrent_rpcs=MOST_CALLS)
        server.add_generic_rpc_handlers((self._handlers(grpc, messages),))
        try:
            if certificate is not None and key is not None:
                pair = (key.read_bytes(), certificate.read_bytes())
                port = server.add_secure_port(address, grpc.ssl_server_credentials([pair]))
            else:
                port = server.add_insecure_port(address)
        except (OSError, RuntimeError) as error:
            raise InputError(f"cannot listen: {error}", field=address, remedy="choose another address") from error
        await server.start()
        self._server = server
        return int(port)

    async def stop(self) -> None:
        """Finish the calls under way, within a few seconds."""
        if self._server is not None:
            await self._server.stop(GRACE_S)

    def _handlers(self, grpc: Any, messages: Any) -> Any:
        kinds = {
            "request_deserializer": messages.PredictRequest.FromString,
            "response_serializer": messages.PredictResponse.SerializeToString,
        }
        methods = {
            "Predict": grpc.unary_unary_rpc_method_handler(self._predict, **kinds),
            "PredictStream": grpc.stream_stream_rpc_method_handler(self._predict_stream, **kinds),
        }
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    async def _predict(self, request: Any, context: Any) -> Any:
        return await self._answer(await self._admit(context), request, context)

    async def _predict_stream(self, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        async for request in requests:
            principal = await self._admit(context)  # each time: a stream may last longer than its credential holds
            yield await self._answer(principal, request, context)

    async def _admit(self, context: Any) -> Principal:
        """Return who calls; ends the call unless they may read."""
        sent = dict(context.invocation_metadata())
        try:
            principal = await self._authenticate(str(sent.get("authorization", "")))
        except AccessError as error:
            await _refuse(context, "UNAUTHENTICATED", error)
        if not principal.may("read"):
            await _refuse(context, "PERMISSION_DENIED", AccessError("the role may not read"))
        return principal

    async def _answer(self, principal: Principal, request: Any, context: Any) -> Any:
        try:
            model = served_as(principal.tenant, request.model)
            rows = await asyncio.to_thread(rows_of, request)
            found = await asyncio.wrap_future(await asyncio.to_thread(self._scoring.judge, model, rows))
        except OverloadError as error:
            await _refuse(context, "RESOURCE_EXHAUSTED", error)
        except (InputError, UsageError) as error:
            await _refuse(context, "INVALID_ARGUMENT", error)
        except InfraSpectreError as error:
            await _refuse(context, "INTERNAL", error)
        return response(found)


def rows_of(request: Any) -> list[dict[str, Any]]:
    """Return the rows of a request; raises InputError for none or too many, and for columns of different lengths."""
    lengths = {len(each.texts or each.numbers) for each in request.columns}
    count = len(request.rows) or max(lengths, default=0)
    if not 0 < count <= MOST_ROWS:
        raise InputError(f"there are {count:,} rows", field="rows", remedy=f"give 1 to {MOST_ROWS:,}")
    return [row_of(each) for each in request.rows] if request.rows else rows_of_columns(request.columns)


def row_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as plain values."""
    from google.protobuf.json_format import MessageToDict

    plain: dict[str, Any] = MessageToDict(row)
    return plain


def rows_of_columns(columns: Sequence[Any]) -> list[dict[str, Any]]:
    """Return columns as rows; raises InputError for columns of different lengths."""
    values = {each.name: each.texts or [None if math.isnan(one) else one for one in each.numbers] for each in columns}
    lengths = {len(each) for each in values.values()}
    if len(lengths) > 1:
        raise InputError("columns are not equally long", field="columns")
    return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]


def response(found: Sequence[Prediction]) -> Any:
    """Return predictions as a message."""
    _, messages = _library()
    told = [
        messages.Prediction(**{name: getattr(each, name) for name in Prediction.__struct_fields__}) for each in found
    ]
    return messages.PredictResponse(predictions=told)


async def _refuse(context: Any, code: str, error: InfraSpectreError) -> None:
    grpc, _ = _library()
    await context.abort(grpc.StatusCode[code], error.detail)


def _library() -> tuple[Any, Any]:
    """Return grpc and our messages; raises UsageError where the extra is not installed."""
    try:
        import grpc
        import grpc.aio

        from infraspectre.api.rpc import scoring_pb2
    except ImportError as error:
        raise UsageError("gRPC is not installed", remedy="pip install 'infraspectre[grpc]'") from error
    return grpc, scoring_pb2
