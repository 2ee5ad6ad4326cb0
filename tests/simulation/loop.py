"""Tasks that take turns on a simulated clock: the same seed gives the same order."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

import greenlet


@dataclass(eq=False)
class Task:
    """Something that runs, and waits, until its function returns.

    Attributes
    ----------
    holder : what the code that runs in it belongs to; a function call sets it.
    """

    name: str
    thread: greenlet.greenlet
    done: bool = False
    result: Any = None
    error: BaseException | None = None
    holder: Any = None
    waiters: list[Task] = field(default_factory=list)


class Loop:
    """One thread. A task runs until it sleeps, waits or pauses."""

    def __init__(self, start: datetime, random: Random) -> None:
        self.now = start
        self._random = random
        self._hub = greenlet.getcurrent()
        self._ready: list[Task] = []
        self._timers: list[tuple[datetime, int, Callable[[], object]]] = []
        self._numbers = itertools.count()
        self.task: Task | None = None

    def spawn(self, name: str, function: Callable[[], Any]) -> Task:
        """Begin a task; it runs when its turn comes."""

        def body() -> None:
            try:
                task.result = function()
            except BaseException as error:  # noqa: BLE001 whoever waits for the task gets it
                task.error = error
            task.done = True
            self._ready += task.waiters

        task = Task(name, greenlet.greenlet(body, parent=self._hub))
        self._ready.append(task)
        return task

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Call something later; it may not wait."""
        self.at(self.now + timedelta(seconds=seconds), call)

    def at(self, when: datetime, call: Callable[[], object]) -> None:
        """Call something at a time."""
        heapq.heappush(self._timers, (when, next(self._numbers), call))

    def sleep(self, seconds: float) -> None:
        """Let time pass for the task that runs."""
        task = self._running()
        self.after(seconds, lambda: self._ready.append(task))
        self._hub.switch()

    def join(self, task: Task, seconds: float | None = None) -> bool:
        """Wait for another task's end; False if it has not come within so many seconds."""
        if task.done:
            return True
        own = self._running()
        task.waiters.append(own)
        if seconds is not None:
            self.after(seconds, lambda: self._give_up(own, task))
        self._hub.switch()
        return task.done

    def _give_up(self, own: Task, other: Task) -> None:
        if own in other.waiters and not other.done:
            other.waiters.remove(own)
            self._ready.append(own)

    def pause(self) -> None:
        """Let the others have their turn, if any can go on."""
        self.now += timedelta(milliseconds=7)
        if self._ready or (self._timers and self._timers[0][0] <= self.now):
            self._ready.append(self._running())
            self._hub.switch()

    def run(self, until: datetime) -> None:
        """Let time pass until then. An error that no task waits for is raised."""
        while True:
            while self._timers and self._timers[0][0] <= self.now:
                heapq.heappop(self._timers)[2]()
            if self._ready:
                number = self._random.randrange(len(self._ready)) if len(self._ready) > 1 else 0
                self._resume(self._ready.pop(number))
            elif self._timers and self._timers[0][0] <= until:
                self.now = max(self.now, self._timers[0][0])
            else:
                self.now = max(self.now, until)
                return

    def _resume(self, task: Task) -> None:
        self.task = task
        task.thread.switch()
        self.task = None
        if task.done and task.error is not None and not task.waiters:
            raise task.error

    def _running(self) -> Task:
        assert self.task is not None
        return self.task
