"""DescribeClientQuotas from this broker's image; AlterClientQuotas is asked of any broker and decided by the controller.

Floor 3. The answer to a change waits until this broker's own image shows it, so that who asked and looks again sees it.
"""

from __future__ import annotations

from raftkafka.broker.controller_channel import ControllerChannel
from raftkafka.broker.handlers.forwarding import forward
from raftkafka.broker.handlers.metadata import APPLY_WAIT_S
from raftkafka.broker.metadata_store import MetadataStore
from raftkafka.metadata.decide.quotas import describe_quotas, entity_of
from raftkafka.metadata.image import Image
from raftkafka.model.api.quotas import (
    AlterClientQuotas,
    AlterClientQuotasResponse,
    AlteredQuota,
    DescribeClientQuotas,
    DescribeClientQuotasResponse,
    QuotaAlteration,
)
from raftkafka.model.context import RequestContext
from raftkafka.model.errors import ApiError, ErrorCode


class QuotasHandler:
    def __init__(self, *, store: MetadataStore, channel: ControllerChannel) -> None:
        self._store = store
        self._channel = channel

    async def alter(self, context: RequestContext, request: AlterClientQuotas) -> AlterClientQuotasResponse:
        answer = await forward(
            self._channel,
            context,
            request,
            AlterClientQuotasResponse,
            timeout_ms=request.timeout_ms,
            refused=lambda error: AlterClientQuotasResponse(
                entries=tuple(
                    AlteredQuota(entity=each.entity, error_code=error.code, error_message=error.message)
                    for each in request.entries
                )
            ),
        )
        if not request.validate_only:
            made = [
                entry
                for entry, each in zip(request.entries, answer.entries, strict=True)
                if each.error_code is ErrorCode.NONE
            ]
            await self._store.wait_for(lambda image: all(_shows(image, each) for each in made), timeout_s=APPLY_WAIT_S)
        return answer

    def describe(self, context: RequestContext, request: DescribeClientQuotas) -> DescribeClientQuotasResponse:
        try:
            return describe_quotas(self._store.image, request)
        except ApiError as refusal:
            return DescribeClientQuotasResponse(error_code=refusal.code, error_message=refusal.message)


def _shows(image: Image, entry: QuotaAlteration) -> bool:
    quotas = image.client_quotas.get(entity_of(entry.entity), {})
    return all(quotas.get(each.key) == (None if each.remove else each.value) for each in entry.operations)
