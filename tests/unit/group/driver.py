"""A group without a broker: tickets, time and stores by hand."""

from __future__ import annotations

from raftkafka.group.consumer_protocol import Subscription, encode_subscription
from raftkafka.group.effects import Answer, Client, GroupLimits, Now, Store, Ticket
from raftkafka.group.membership import Membership
from raftkafka.group.records import StoredGroup
from raftkafka.model.api.membership import JoinGroup, JoinGroupProtocol, SyncGroup, SyncGroupAssignment
from raftkafka.model.errors import ErrorCode

LIMITS = GroupLimits(initial_rebalance_delay_ms=3_000)
CLIENT = Client(client_id="client", client_host="/127.0.0.1")
SESSION_MS = 10_000
REBALANCE_MS = 60_000


def protocols(*names: str, topics: tuple[str, ...] = ("t",)) -> tuple[JoinGroupProtocol, ...]:
    metadata = encode_subscription(Subscription(topics=topics))
    return tuple(JoinGroupProtocol(name=name, metadata=metadata) for name in names or ("range",))


class Driver:
    """`answers` holds what each ticket was answered; `stores` what is to be stored and is not settled yet."""

    def __init__(self, limits: GroupLimits = LIMITS) -> None:
        self.limits = limits
        self.group = Membership(limits)
        self.time_s = 1_000.0
        self.answers: dict[Ticket, object] = {}
        self.stores: list[Store] = []
        self.logged: StoredGroup | None = None
        self.tickets = 0
        self.ids = 0

    @property
    def now(self) -> Now:
        return Now(loop_s=self.time_s, wall_ms=int(self.time_s * 1000))

    def take(self, effects) -> None:
        for effect in effects:
            if isinstance(effect, Answer):
                assert effect.ticket not in self.answers, "answered twice"
                self.answers[effect.ticket] = effect.response
            else:
                self.stores.append(effect)

    def ticket(self) -> Ticket:
        self.tickets += 1
        return Ticket(self.tickets)

    def join(self, member_id: str = "", *, instance: str | None = None, **changes) -> Ticket:
        ticket = self.ticket()
        self.ids += 1
        values = {
            "group_id": "g",
            "session_timeout_ms": SESSION_MS,
            "rebalance_timeout_ms": REBALANCE_MS,
            "member_id": member_id,
            "group_instance_id": instance,
            "protocol_type": "consumer",
            "protocols": protocols(),
            **changes,
        }
        effects = self.group.join(
            JoinGroup(**values), ticket, client=CLIENT, new_member_id=f"m{self.ids}", now=self.now
        )
        self.take(effects)
        return ticket

    def enter(self, **changes) -> tuple[str, Ticket]:
        """As a client does: ask for an id, come back with it."""
        refused = self.answers[self.join(**changes)]
        assert refused.error_code is ErrorCode.MEMBER_ID_REQUIRED
        return refused.member_id, self.join(refused.member_id, **changes)

    def sync(self, member_id: str, generation: int, given: dict[str, bytes] | None = None, **changes) -> Ticket:
        ticket = self.ticket()
        request = SyncGroup(
            group_id="g",
            generation_id=generation,
            member_id=member_id,
            assignments=tuple(SyncGroupAssignment(member_id=m, assignment=a) for m, a in (given or {}).items()),
            **changes,
        )
        self.take(self.group.sync(request, ticket, now=self.now))
        return ticket

    def settle(self, error: ErrorCode = ErrorCode.NONE) -> None:
        """Everything that is on its way into the log arrives there, or does not."""
        while self.stores:
            store = self.stores.pop(0)
            if error is ErrorCode.NONE:
                self.logged = store.value
            self.take(self.group.stored(store.purpose, error, now=self.now))

    def beat(self, member_id: str, generation: int | None = None, instance: str | None = None) -> ErrorCode:
        generation = self.group.generation if generation is None else generation
        return self.group.heartbeat(member_id, instance, generation, now=self.now)

    def leave(self, member_id: str, instance: str | None = None) -> ErrorCode:
        error, effects = self.group.leave(member_id, instance, "done", now=self.now)
        self.take(effects)
        return error

    def may_commit(self, member_id: str, generation: int | None = None, instance: str | None = None) -> ErrorCode:
        generation = self.group.generation if generation is None else generation
        return self.group.may_commit(member_id, instance, generation, now=self.now)

    def advance(self, seconds: float) -> None:
        """Let time go by, with every deadline on its moment."""
        end = self.time_s + seconds
        while (due := self.group.next_deadline_s) <= end:
            self.time_s = max(self.time_s, due)
            self.take(self.group.expire(self.now))
        self.time_s = end

    def formed(self, members: int = 2, **changes) -> list[str]:
        """A stable group of so many, the leader first; member `m`'s assignment is its id."""
        entered = [self.enter(**changes) for _ in range(members)]
        self.advance(2 * self.limits.initial_rebalance_delay_ms / 1000 + 1)
        return self.assigned([member for member, _ in entered])

    def assigned(self, members: list[str]) -> list[str]:
        leader = self.group.leader
        ordered = [leader, *(each for each in members if each != leader)]
        for each in ordered[1:]:
            self.sync(each, self.group.generation)
        self.sync(leader, self.group.generation, {each: each.encode() for each in ordered})
        self.settle()
        return ordered
