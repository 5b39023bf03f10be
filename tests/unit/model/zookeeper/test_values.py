import pytest
from kazoo import exceptions
from kazoo.security import Permissions

from raftkafka.model.zookeeper import acl
from raftkafka.model.zookeeper.errors import ZkError, ZkErrorCode
from raftkafka.model.zookeeper.modes import CONTAINER_OWNER, TTL_MAX_MS, CreateMode, ttl_owner
from raftkafka.model.zookeeper.ops import CheckResult, CreateResult, ErrorResult, MultiResult, failed_multi

_OTHERWISE_NAMED = {
    "ROLLEDBACK": "OK",
    "SYSTEMZOOKEEPER": "SYSTEMERROR",
    "NOTREADONLYCALL": "NOTREADONLY",
    "RECONFIGINPROCESS": "RECONFIGINPROGRESS",
    "SESSIONCLOSEDREQUIRESASL": "SESSIONCLOSEDREQUIRESASLAUTH",
}


def test_error_codes_are_those_that_kazoo_knows() -> None:
    for number, error in exceptions.EXCEPTIONS.items():
        name = error.__name__.removesuffix("Error").upper()
        assert ZkErrorCode(number).name.removesuffix("ERROR") == _OTHERWISE_NAMED.get(name, name).removesuffix("ERROR")


def test_an_error_says_its_code_and_why() -> None:
    assert str(ZkError(ZkErrorCode.NONODE, "/a")) == "NONODE: /a"
    assert ZkError(ZkErrorCode.NONODE).message == "NONODE"


def test_permissions_are_those_that_kazoo_knows() -> None:
    assert (acl.READ, acl.WRITE, acl.CREATE, acl.DELETE, acl.ADMIN, acl.ALL) == (
        Permissions.READ,
        Permissions.WRITE,
        Permissions.CREATE,
        Permissions.DELETE,
        Permissions.ADMIN,
        Permissions.ALL,
    )


def test_a_mode_is_made_of_its_properties() -> None:
    found = {(mode.ephemeral, mode.sequential, mode.container, mode.ttl): mode.value for mode in CreateMode}
    assert found == {
        (False, False, False, False): 0,
        (True, False, False, False): 1,
        (False, True, False, False): 2,
        (True, True, False, False): 3,
        (False, False, True, False): 4,
        (False, False, False, True): 5,
        (False, True, False, True): 6,
    }


def test_owners_of_containers_and_ttl_nodes_are_what_java_computes() -> None:
    assert CONTAINER_OWNER == -9223372036854775808
    assert ttl_owner(1) == -72057594037927935  # 0xff00000000000001L
    assert ttl_owner(TTL_MAX_MS) == -72056494526300161  # 0xff0000ffffffffffL
    for wrong in (0, -1, TTL_MAX_MS + 1):
        with pytest.raises(ValueError, match="time to live"):
            ttl_owner(wrong)


def test_a_failed_multi_names_the_operation_that_failed() -> None:
    result = failed_multi(4, 2, ZkErrorCode.NONODE)
    assert [error.code for error in result.results if isinstance(error, ErrorResult)] == [0, 0, -101, -2]
    assert result.failed
    assert not MultiResult(results=(CheckResult(), CreateResult(path="/a"))).failed
