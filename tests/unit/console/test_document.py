"""The OpenAPI document: made from the routes, complete, and nothing in it that is not served."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from raftkafka.console.api.document import document
from raftkafka.console.api.routes import PATH_PARAMETERS, EventStream
from raftkafka.console.api.table import ROUTES


@pytest.fixture(scope="module")
def written() -> dict[str, Any]:
    text = json.dumps(document(ROUTES), allow_nan=False)
    found: dict[str, Any] = json.loads(text)
    return found


def test_every_route_is_there_once(written: dict[str, Any]) -> None:
    listed = [(path, method) for path, methods in written["paths"].items() for method in methods]
    assert sorted(listed) == sorted((route.path, route.method.lower()) for route in ROUTES)
    names = [operation["operationId"] for methods in written["paths"].values() for operation in methods.values()]
    assert len(set(names)) == len(names)


def test_schemas_are_schemas_and_references_lead_somewhere(written: dict[str, Any]) -> None:
    for schema in written["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    schemas = written["components"]["schemas"]

    def follow(value: object) -> None:
        if isinstance(value, dict):
            if "$ref" in value:
                assert value["$ref"].rpartition("/")[2] in schemas
            for each in value.values():
                follow(each)
        elif isinstance(value, list):
            for each in value:
                follow(each)

    follow(written)


def test_paths_name_their_parameters(written: dict[str, Any]) -> None:
    for route in ROUTES:
        operation = written["paths"][route.path][route.method.lower()]
        in_path = [each["name"] for each in operation["parameters"] if each["in"] == "path"]
        assert in_path == list(route.names)
        assert set(in_path) <= PATH_PARAMETERS.keys()
        assert ("requestBody" in operation) == (route.body is not None)
        assert str(route.status.value) in operation["responses"]
        assert {"400", "401", "404", "503", "504"} <= operation["responses"].keys()


def test_what_changes_something_takes_a_body_and_what_reads_does_not() -> None:
    for route in ROUTES:
        assert (route.method == "GET") == (route.body is None), route.path
        assert (route.answer is None) == (route.status == 204), route.path
        assert route.method == "GET" or route.answer is not EventStream
