"""Client quotas, for administrators: what the answers mean. Floor 3."""

from __future__ import annotations

from raftkafka.model.api.quotas import AlterClientQuotasResponse, DescribeClientQuotasResponse, DescribedQuota
from raftkafka.model.errors import ApiError, ErrorCode


def first_error(response: AlterClientQuotasResponse) -> ErrorCode:
    """A node that cannot reach the controller says so of every entity alike."""
    return response.entries[0].error_code if response.entries else ErrorCode.NONE


def check_altered(response: AlterClientQuotasResponse) -> None:
    """Raises ApiError for the first entity that was refused."""
    for each in response.entries:
        if each.error_code is not ErrorCode.NONE:
            raise ApiError(each.error_code, each.error_message or "")


def described(response: DescribeClientQuotasResponse) -> list[DescribedQuota]:
    if response.error_code is not ErrorCode.NONE:
        raise ApiError(response.error_code, response.error_message or "")
    return list(response.entries)
