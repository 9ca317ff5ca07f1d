"""Runs a judge's open calls concurrently, within a budget, and counts every outcome."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from rpo_bench.errors import UserError
from rpo_bench.judge.account import Account
from rpo_bench.judge.parsing import read_attempt
from rpo_bench.judge.prompts import MAX_CHARS, call_of
from rpo_bench.judge.protocol import Attempt, Call, Judge, Pair, StoredReply
from rpo_bench.judge.storage import Store, StoredGame

_MILLION = 1e6
_HOPELESS = 20  # consecutive failures, beyond the calls in flight, after which a run gives up


@dataclass(frozen=True)
class Budget:
    """Token prices per million, and the spending limit of a run, in one currency."""

    input_price: float = 0.0
    output_price: float = 0.0
    max_cost: float | None = None

    def cost(self, tokens: tuple[int, int]) -> float:
        """The cost of tokens (in, out)."""
        return (tokens[0] * self.input_price + tokens[1] * self.output_price) / _MILLION


@dataclass(frozen=True)
class Plan:
    """The games to judge, two per pair, and their distinct calls by key."""

    games: tuple[StoredGame, ...]
    calls: dict[str, Call]

    def open(self, store_paid: set[str]) -> list[Call]:
        """The calls without a reply."""
        return [call for key, call in self.calls.items() if key not in store_paid]


def plan_of(pairs: Sequence[Pair], max_chars: int | None = MAX_CHARS) -> Plan:
    """Plans both orders of every pair; identical responses tie without a call, equal questions share one.

    Args:
        pairs: The pairs to judge.
        max_chars: Maximum characters of each text shown; None: no limit.
    """
    games: list[StoredGame] = []
    calls: dict[str, Call] = {}
    for pair in pairs:
        for swapped in (False, True):
            call = None if pair.identical else call_of(pair, swapped)
            if call is not None:
                calls.setdefault(call.key, call)
            texts = (pair.prompt.text, pair.model_response, pair.baseline_response)
            game = StoredGame(
                question=pair.question,
                model=pair.model,
                baseline=pair.baseline,
                swapped=swapped,
                key=None if call is None else call.key,
                model_length=len(pair.model_response),
                baseline_length=len(pair.baseline_response),
                cut=max_chars is not None and any(len(text) > max_chars for text in texts),
            )
            games.append(game)
    return Plan(tuple(games), calls)


def estimate(judge: Judge, calls: Sequence[Call], budget: Budget) -> tuple[tuple[int, int], float]:
    """Upper estimates of the tokens (in, out) and cost of calls."""
    each = [judge.estimated_tokens(call) for call in calls]
    tokens = (sum(one for one, _ in each), sum(one for _, one in each))
    return tokens, budget.cost(tokens)


def run_judge(
    judge: Judge,
    plan: Plan,
    store: Store,
    budget: Budget | None = None,
    report: Callable[[int, int], None] = lambda done, of: None,
) -> Account:
    """Runs the calls without a stored reply, and stores every reply immediately.

    If the process is killed, only calls in flight are lost. After Ctrl-C or an error, it waits for these too.

    Args:
        judge: The backend.
        plan: The games and calls.
        store: The judge's store, open for writing.
        budget: No call is started whose estimated cost would exceed it.
        report: Called with the number of finished calls.

    Raises:
        UserError: The judge is unusable, or too many calls fail in a row.
    """
    return _Run(judge, plan, store, budget or Budget(), report).run()


@dataclass
class _Run:
    judge: Judge
    plan: Plan
    store: Store
    budget: Budget
    report: Callable[[int, int], None]
    account: Account = field(default_factory=Account)
    failures_in_a_row: int = 0

    def run(self) -> Account:
        started_at = time.monotonic()
        self.store.add_games(self.plan.games)
        calls = self.plan.open(self.store.paid)
        self.account.stored = len(self.plan.calls) - len(calls)
        flying: dict[Future[list[StoredReply]], list[Call]] = {}
        pool = ThreadPoolExecutor(max_workers=self.judge.concurrency)
        try:
            self._ask_all(pool, calls, flying)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            self._keep(flying)
        self.account.seconds = time.monotonic() - started_at
        return self.account

    def _ask_all(
        self, pool: ThreadPoolExecutor, calls: list[Call], flying: dict[Future[list[StoredReply]], list[Call]]
    ) -> None:
        batches = self._affordable(calls, flying)
        more = True
        while more or flying:
            # As many batches are queued as are in flight, so that no thread is idle.
            while more and len(flying) < 2 * self.judge.concurrency:
                batch = next(batches, None)
                more = batch is not None
                if batch is not None:
                    flying[pool.submit(_ask_and_store, self.judge, self.store, batch)] = batch
            for future in wait(flying, return_when=FIRST_COMPLETED).done:
                batch = flying.pop(future)
                self._take(batch, future.result())
                self.report(self.account.made, len(calls))

    def _affordable(
        self, calls: list[Call], flying: dict[Future[list[StoredReply]], list[Call]]
    ) -> Iterator[list[Call]]:
        """Batches of calls, while the cost of finished, current and next calls stays within the budget."""
        size = self.judge.batch_size
        for start in range(0, len(calls), size):
            batch = calls[start : start + size]
            if self.budget.max_cost is not None:
                ahead = [call for sent in flying.values() for call in sent] + batch
                tries = 2 if self.judge.asks_again else 1
                most = tries * estimate(self.judge, ahead, self.budget)[1]
                if self.account.cost + most > self.budget.max_cost:
                    self.account.stopped = True
                    return
            yield batch

    def _keep(self, flying: dict[Future[list[StoredReply]], list[Call]]) -> None:
        """Counts replies that arrive while the run is stopping."""
        for future, batch in flying.items():
            if not future.cancelled() and future.exception() is None:
                self._take(batch, future.result(), giving_up=True)
        flying.clear()

    def _take(self, batch: list[Call], replies: list[StoredReply], giving_up: bool = False) -> None:
        for call, reply in zip(batch, replies, strict=True):
            self._count(call, reply)
        if self.failures_in_a_row >= _HOPELESS + self.judge.concurrency and not giving_up:
            (reason, _), *_ = self.account.failed.most_common(1)
            raise UserError(
                f"The judge failed {self.failures_in_a_row} times in a row ({reason}); replies so far are "
                "stored: fix the problem and run the same command again."
            )

    def _count(self, call: Call, reply: StoredReply) -> None:
        account, last = self.account, reply.attempts[-1]
        account.made += 1
        account.second_tries += len(reply.attempts) > 1
        seconds = sum(one.seconds for one in reply.attempts)
        account.latency += (seconds - account.latency) / account.made
        self.failures_in_a_row = self.failures_in_a_row + 1 if reply.failed else 0
        reading = read_attempt(last, self.judge.mode)
        if reply.failed:
            account.failed[str(last.error)] += 1
        elif reading.answer is None:
            account.unscored[str(reading.reason)] += 1
        else:
            account.scored += 1
        for attempt in reply.attempts:
            self._charge(call, attempt)

    def _charge(self, call: Call, attempt: Attempt) -> None:
        account = self.account
        account.retries += attempt.retries
        if attempt.error is not None:
            return
        known = (attempt.prompt_tokens, attempt.completion_tokens)
        guess = self.judge.estimated_tokens(call)
        spent = (
            known[0] if known[0] is not None else guess[0],
            known[1] if known[1] is not None else guess[1],
        )
        account.estimated += None in known and guess != (0, 0)
        account.tokens = (account.tokens[0] + spent[0], account.tokens[1] + spent[1])
        account.cost += self.budget.cost(spent)


def _ask_and_store(judge: Judge, store: Store, calls: list[Call]) -> list[StoredReply]:
    """Runs a batch, repeats calls with unparsable replies once, and stores the replies.

    Each thread stores its replies before its next batch, so a killed run loses only calls in flight.
    """
    attempts = [[one] for one in judge.ask(calls)]
    again = [
        i
        for i, (one,) in enumerate(attempts)
        if judge.asks_again and one.error is None and read_attempt(one, judge.mode).answer is None
    ]
    if again:
        for i, second in zip(again, judge.ask([calls[i] for i in again], again=True), strict=True):
            attempts[i].append(second)
    replies = [
        StoredReply(key=call.key, attempts=tuple(of)) for call, of in zip(calls, attempts, strict=True)
    ]
    store.add_replies(replies)
    return replies
