from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from infraspectre.errors import AccessError
from infraspectre.modelbook import open_model
from infraspectre.records.access import Principal
from infraspectre.serving.scoring import Scoring

grpc = pytest.importorskip("grpc")
from infraspectre.api.rpc.scoring import SERVICE, ScoringServer  # noqa: E402

messages: Any = import_module("infraspectre.api.rpc.scoring_pb2")
Calls = Callable[[Any], Coroutine[Any, Any, Any]]
ASKED = {"model": "builtin:dga", "columns": [messages.Column(name="domain", texts=["xk2v9q0z8w7.com", "example.com"])]}


async def known(header: str) -> Principal:
    if header != "Bearer good":
        raise AccessError("the key is not known")
    return Principal("default", "program", "viewer")


@pytest.fixture(scope="module")
def scoring() -> Iterator[Scoring]:
    scoring = Scoring(open_model)
    yield scoring
    scoring.close()


def talk(scoring: Scoring, calls: Calls, authenticate: Any = known) -> Any:
    async def run() -> Any:
        server = ScoringServer(scoring, authenticate)
        port = await server.start("127.0.0.1:0")
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                return await calls(channel)
        finally:
            await server.stop()

    return asyncio.run(run())


async def predict(channel: Any, header: str = "Bearer good", **asked: Any) -> Any:
    call = channel.unary_unary(
        f"/{SERVICE}/Predict",
        request_serializer=messages.PredictRequest.SerializeToString,
        response_deserializer=messages.PredictResponse.FromString,
    )
    return await call(messages.PredictRequest(**(ASKED | asked)), metadata=(("authorization", header),))


def test_predictions_are_those_of_the_model(scoring: Scoring) -> None:
    answer = talk(scoring, predict)
    expected = scoring.judge("builtin:dga", [{"domain": "xk2v9q0z8w7.com"}, {"domain": "example.com"}]).result(60)
    assert [(each.label, each.score, each.low) for each in answer.predictions] == [
        (each.label, each.score, each.low) for each in expected
    ]


def test_rows_mean_the_same_as_columns(scoring: Scoring) -> None:
    async def both(channel: Any) -> Any:
        request = messages.PredictRequest(model="builtin:dga")
        for name in ("xk2v9q0z8w7.com", "example.com"):
            request.rows.add()["domain"] = name
        return await predict(channel), await predict(channel, columns=[], rows=request.rows)

    first, second = talk(scoring, both)
    assert first == second


def test_a_stream_answers_in_order(scoring: Scoring) -> None:
    async def stream(channel: Any) -> list[Any]:
        call = channel.stream_stream(
            f"/{SERVICE}/PredictStream",
            request_serializer=messages.PredictRequest.SerializeToString,
            response_deserializer=messages.PredictResponse.FromString,
        )
        requests = [messages.PredictRequest(**ASKED) for _ in range(5)]
        return [
            len(each.predictions) async for each in call(iter(requests), metadata=(("authorization", "Bearer good"),))
        ]

    assert talk(scoring, stream) == [2] * 5


def test_a_stream_ends_with_its_credential_and_knows_no_model_of_another_tenant(scoring: Scoring) -> None:
    answers = iter([Principal("red", "program", "viewer")])

    async def once(header: str) -> Principal:
        if (found := next(answers, None)) is None:
            raise AccessError("the key is not known any more")
        return found

    async def stream(channel: Any) -> Any:
        call = channel.stream_stream(
            f"/{SERVICE}/PredictStream",
            request_serializer=messages.PredictRequest.SerializeToString,
            response_deserializer=messages.PredictResponse.FromString,
        )
        answers = call(iter([messages.PredictRequest(**ASKED)] * 2), metadata=(("authorization", "x"),))
        first = await answers.read()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await answers.read()
        return len(first.predictions), caught.value.code()

    assert talk(scoring, stream, once) == (2, grpc.StatusCode.UNAUTHENTICATED)

    async def other(channel: Any) -> Any:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await predict(channel, model="registry:red..site")
        return caught.value.details()

    assert "cannot be the name of a model" in talk(scoring, other)


@pytest.mark.parametrize(
    ("asked", "code", "said"),
    [
        ({"header": "Bearer bad"}, "UNAUTHENTICATED", "not known"),
        ({"model": "builtin:none"}, "INVALID_ARGUMENT", "no built-in model"),
        ({"columns": []}, "INVALID_ARGUMENT", "0 rows"),
        ({"columns": [messages.Column(name="other", texts=["x"])]}, "INVALID_ARGUMENT", "missing"),
        (
            {"columns": [messages.Column(name="a", texts=["x"]), messages.Column(name="b", numbers=[1, 2])]},
            "INVALID_ARGUMENT",
            "equally long",
        ),
    ],
)
def test_faults_are_told(scoring: Scoring, asked: dict[str, Any], code: str, said: str) -> None:
    async def ask(channel: Any) -> Any:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await predict(channel, **asked)
        return caught.value

    error = talk(scoring, ask)
    assert error.code() == grpc.StatusCode[code]
    assert said in error.details()


def test_messages_are_those_of_the_definition(tmp_path: Path) -> None:
    protoc = pytest.importorskip("grpc_tools.protoc")
    source = Path(__file__).parents[2] / "src"
    name = "infraspectre/api/rpc/scoring.proto"
    known = Path(protoc.__file__).parent / "_proto"
    assert protoc.main(["protoc", f"-I{source}", f"-I{known}", f"--python_out={tmp_path}", name]) == 0
    made = (tmp_path / "infraspectre/api/rpc/scoring_pb2.py").read_text()
    assert made == (source / "infraspectre/api/rpc/scoring_pb2.py").read_text()
